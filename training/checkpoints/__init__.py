"""Checkpoints that are whole or not there, in a folder or an S3 store."""
