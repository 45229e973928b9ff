"""Versions of the jobs' database, one after another."""
