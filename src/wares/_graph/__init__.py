"""The graph of services and their needs: checks and drawings."""
