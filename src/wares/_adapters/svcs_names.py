"""What adapters say about names that the adapters of svcs have and ours do not."""

from __future__ import annotations

import sys
from typing import Any

#: The names, and what stands for them after `wares_from(...)`, or instead of all.
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
    """Have *module* say what to write instead of a name of svcs. Type checkers see none of them.

    Args:
        module: The name of the adapter's module.
        container: How its container is found: ``"wares_from(request)"``.
    """

    def __getattr__(name: str) -> Any:  # noqa: N807  # a module has such a function (PEP 562)
        message = f"module {module!r} has no attribute {name!r}"
        if name in _NAMES:
            message += f". Instead of svcs' {name}, write {_NAMES[name].format(container)}"
        raise AttributeError(message, name=name, obj=sys.modules[module])

    vars(sys.modules[module])["__getattr__"] = __getattr__
