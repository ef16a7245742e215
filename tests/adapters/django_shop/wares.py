"""Found because it is called so, in an installed application."""


def register(registry):
    """Register something that is found."""
    registry.register_value(int, 3)
