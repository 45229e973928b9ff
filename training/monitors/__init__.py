"""What watches a run and names what goes wrong."""
