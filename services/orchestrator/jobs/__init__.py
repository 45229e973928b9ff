"""Edits that outlive the call that asked for them: a durable queue with one committed result per item."""
