"""One file a version; a version once released never changes."""
