"""Models in an object store: a manifest hashes every file, so that what is served is what was put there."""
