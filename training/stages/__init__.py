"""The stages of training: each knows its models, its batches and its losses."""
