"""The types of the pytest plugin, as users' checkers see them."""

from wares import Registry
from wares.pytest_plugin import Overrides


class Database:
    """A service."""


def test_something(overrides: Overrides, registry: Registry) -> None:
    """Override in all ways."""
    overrides.override_value(Database, Database())
    overrides.override_factory(Database, Database, lifetime="singleton")
    overrides.on(registry).override_value("name", 1, ping=print)
    overrides.on()  # type: ignore[call-arg]  # of what
