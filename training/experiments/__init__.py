"""The paper's first experiments, one command each, each with a report."""
