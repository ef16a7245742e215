"""A guest book on the command line; `python -m examples.click sign Ada` signs it."""
