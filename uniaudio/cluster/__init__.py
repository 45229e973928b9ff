"""Training runs as Jobs of a Kubernetes cluster: what is asked for, how it stands, what it says."""
