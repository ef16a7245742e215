"""A bookshop: a FastAPI application of realistic size, with wares."""
