"""The LLM inside Triton: its backend's logic, Triton's model repository, and the supervisor."""
