"""The graph of services and their needs, with its problems and drawings."""
