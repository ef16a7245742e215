"""A bookshop: a FastAPI application of the size one writes for work, wired by wares."""
