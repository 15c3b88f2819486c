"""The paper's experiments with our own models on the scenes data."""
