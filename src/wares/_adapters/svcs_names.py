"""The error for a name that only the adapters of svcs have, which says what to write instead."""

from __future__ import annotations

import sys
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

    Type checkers do not see this function of the module, so they report these names as errors.

    Args:
        module: The name of the adapter's module.
        container: The expression for its container: ``"wares_from(request)"``.
    """

    def __getattr__(name: str) -> Any:  # noqa: N807  # a function of modules (PEP 562)
        message = f"module {module!r} has no attribute {name!r}"
        if name in _NAMES:
            message += f". Instead of svcs' {name}, write {_NAMES[name].format(container)}"
        raise AttributeError(message, name=name, obj=sys.modules[module])

    vars(sys.modules[module])["__getattr__"] = __getattr__
