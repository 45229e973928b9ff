"""Trains what the services serve."""
