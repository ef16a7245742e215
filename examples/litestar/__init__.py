"""A guest book on Litestar."""
