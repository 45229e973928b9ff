"""One module per command (encode and decode share one)."""
