"""Runs the LLM for many callers at once: requests in, streams of events out."""
