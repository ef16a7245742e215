"""A guest book on aiohttp; `python -m examples.aiohttp` serves it."""
