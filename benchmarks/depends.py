"""A wiring as functions with `Depends` in their signatures, for peers that have such a marker.

The marker is an argument, so this works with any such peer. The functions are written as source
text, so that each of them is a function as a person would type it.
"""

import inspect
from collections.abc import Callable
from typing import Annotated, Any

from benchmarks.wiring import Factory, Wiring, key_of, needs_of

Marker = Callable[[Callable[..., Any]], Any]


def make_dependencies(
    wiring: Wiring, marker: Marker, *, keyword: str = "def"
) -> dict[type, Callable[..., Any]]:
    """Write a dependency function for each value and factory.

    Args:
        wiring: The wiring.
        marker: The `Depends` of the peer.
        keyword: `async def` for peers that would run a `def` function in a thread.

    Returns:
        The functions, by the types that they make.
    """
    written: dict[type, Callable[..., Any]] = {}
    for key, value in wiring.values.items():
        written[key] = _write(f"{keyword} make():\n    return value\n", {"value": value})
    for factory in wiring.factories:
        annotations = {
            name: Annotated[need, marker(written[need])]
            for name, need in needs_of(factory).items()
        }
        written[key_of(factory)] = _depend(factory, annotations, keyword)
    return written


def make_operation(wiring: Wiring, marker: Marker) -> Callable[..., Any]:
    """Write a function whose signature asks for the root."""
    root = make_dependencies(wiring, marker)[wiring.root]
    return _write(
        "def operation(root: Root):\n    return root\n",
        {"Root": Annotated[wiring.root, marker(root)]},
    )


def make_async_operation(
    wiring: Wiring, marker: Marker, *, keyword: str = "def"
) -> Callable[..., Any]:
    """Write an async function whose signature asks for the root."""
    root = make_dependencies(wiring, marker, keyword=keyword)[wiring.root]
    return _write(
        "async def operation(root: Root):\n    return root\n",
        {"Root": Annotated[wiring.root, marker(root)]},
    )


def _depend(factory: Factory, annotations: dict[str, Any], keyword: str) -> Callable[..., Any]:
    if not inspect.isclass(factory):
        # A generator function is copied, so that only the annotations of the copy have markers.
        copy = type(factory)(factory.__code__, factory.__globals__, factory.__name__)
        copy.__annotations__ = annotations
        return copy
    parameters = ", ".join(f"{name}: annotations[{name!r}]" for name in annotations)
    return _write(
        f"{keyword} make({parameters}):\n    return factory({', '.join(annotations)})\n",
        {"factory": factory, "annotations": annotations},
    )


def _write(source: str, names: dict[str, Any]) -> Callable[..., Any]:
    namespace = {"__name__": __name__, **names}
    exec(source, namespace)  # noqa: S102 - the text is made in this file
    written: Callable[..., Any] = namespace["make" if "make" in namespace else "operation"]
    return written
