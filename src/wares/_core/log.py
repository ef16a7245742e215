"""Logging: registrations, at level ``DEBUG``, and exceptions that a cleanup has replaced.

Records never contain registered values, which may be secrets.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from wares._core.callables import describe_callable
from wares._core.keys import describe
from wares._core.recipes import Recipe

if TYPE_CHECKING:
    import logging


def log_registration(recipe: Recipe) -> None:
    """Log a registration."""
    logger = _find_logger()
    if logger is None:
        return
    name = describe(recipe.key)
    fields = {"wares_service_name": name, "wares_lifetime": recipe.lifetime}
    if recipe.is_value:
        logger.debug("Registered a value for %s.", name, extra=fields)
        return
    factory = describe_callable(recipe.factory)
    fields["wares_factory_name"] = factory
    logger.debug("Registered the factory %s for %s.", factory, name, extra=fields)


def log_closing(recipe: Recipe) -> None:
    """Log that an ``on_registry_close`` callback is about to be called."""
    logger = _find_logger()
    if logger is not None:
        name = describe(recipe.key)
        fields = {"wares_service_name": name, "wares_lifetime": recipe.lifetime}
        logger.debug("Calling on_registry_close of %s.", name, extra=fields)


def log_lost(error: BaseException, recipe: Recipe | None) -> None:
    """Log an exception that a cleanup has replaced, and that no caller will receive."""
    import logging  # noqa: PLC0415  # takes long to import, and this is rare

    name = "a service" if recipe is None else describe(recipe.key)
    logging.getLogger("wares").error(
        "The cleanup of %s has replaced an exception, which would otherwise be lost.",
        name,
        exc_info=error,
        extra={"wares_service_name": name},
    )


def _find_logger() -> logging.Logger | None:
    """Return the logger if it accepts records of level ``DEBUG``."""
    if "logging" not in sys.modules:
        # Importing it takes long, and without it no program can have enabled records.
        return None
    import logging  # noqa: PLC0415  # see above

    logger = logging.getLogger("wares")
    return logger if logger.isEnabledFor(logging.DEBUG) else None
