"""The door for people: an OpenAI-compatible HTTP API before the orchestrator."""
