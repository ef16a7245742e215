"""The command line: ``python -m wares``."""
