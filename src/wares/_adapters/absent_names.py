"""The errors for names that an adapter lacks: those of svcs, and those of other adapters."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

#: The names, and what to write instead; the braces stand for how to get the container.
_NAMES = {
    "get": "{}.get(...)",
    "aget": "await {}.aget(...)",
    "get_abstract": "{}.get(...)",
    "aget_abstract": "await {}.aget(...)",
    "get_pings": "{}.get_pings()",
    "svcs_from": "{}",
    "SVCSMiddleware": "WaresMiddleware",
}


def explain_svcs_names(module: str, container: str) -> None:
    """Make the `AttributeError` of *module* say what to write instead of a name of svcs.

    Args:
        module: The name of the adapter's module.
        container: The expression for its container: ``"wares_from(request)"``.
    """
    names = {
        name: f"Instead of svcs' {name}, write {instead.format(container)}"
        for name, instead in _NAMES.items()
    }
    explain_names(module, names | {"init_app": "Decorate a function with its lifespan instead"})


def explain_names(module: str, names: Mapping[str, str]) -> None:
    """Make the `AttributeError` of *module* explain why it lacks some *names*.

    Type checkers do not see this function of the module, so they report these names as errors.

    Args:
        module: The name of the adapter's module.
        names: What to do instead, by the names that the module lacks.
    """

    def __getattr__(name: str) -> Any:  # noqa: N807  # a function of modules (PEP 562)
        message = f"module {module!r} has no attribute {name!r}"
        if name in names:
            message += f". {names[name]}"
        raise AttributeError(message, name=name, obj=sys.modules[module])

    vars(sys.modules[module])["__getattr__"] = __getattr__
