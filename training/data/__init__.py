"""Where training data comes from: manifests, corpora, synthesis, edits, and the input pipelines."""
