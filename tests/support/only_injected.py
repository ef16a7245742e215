"""Imported for type checkers only, by functions that are injected."""


class Hidden:
    """A service."""
