"""A guest book for language models; `python -m examples.mcp` serves it over standard input."""
