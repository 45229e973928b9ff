"""What a run tells while it trains: numbers, curves, a line with the time left."""
