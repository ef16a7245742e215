"""How pings run: in which thread, in which event loop, and how many at a time."""
