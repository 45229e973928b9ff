"""Runs as functions: each returns the whole configuration of its runs."""
