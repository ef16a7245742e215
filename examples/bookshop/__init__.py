"""A bookshop: a FastAPI application of the size that one writes for work, with wares."""
