"""A chat: FastAPI and Socket.IO in one application, for one process or many."""
