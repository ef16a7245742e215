"""An application of the Django project for tests."""


def register_more(registry):
    """Register something that the setting names."""
    registry.register_value(str, "named by the setting")
