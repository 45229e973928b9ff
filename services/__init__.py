"""One folder is one image is one Deployment: the processes that serve."""
