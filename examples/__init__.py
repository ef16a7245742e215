"""Applications that run, each with its own README and its own tests."""
