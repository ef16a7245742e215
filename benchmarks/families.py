"""Large families of classes: chains, wide roots, large registries.

They are written as source text and executed, so that they are ordinary classes with their own
parameters and annotations, as a person would type them. The hand-written code keeps services in
a dict, as a container does, because the rest of the request may ask for each of them again.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

from benchmarks.work import CONFIG, Config


def make_leaves(count: int) -> list[type]:
    """Make classes, each of which needs only the configuration."""
    written = _execute(
        f"class Service{number}:\n"
        f"    def __init__(self, config: Config) -> None:\n"
        f"        self.config = config\n"
        for number in range(count)
    )
    return [written[f"Service{number}"] for number in range(count)]


def make_chain(length: int) -> tuple[list[type], Callable[[], object]]:
    """Make classes, each of which needs the previous one, and the hand-written code for them."""
    before = ["Config", *(f"Link{number}" for number in range(length))]
    classes = (
        f"class Link{number}:\n"
        f"    def __init__(self, previous: {before[number]}) -> None:\n"
        f"        self.previous = previous\n"
        for number in range(length)
    )
    steps = (
        f"        link = services[Link{number}] = Link{number}({'link' if number else 'CONFIG'})\n"
        for number in range(length)
    )
    written = _execute([*classes, _BY_HAND, *steps, "        return link\n"])
    return [written[f"Link{number}"] for number in range(length)], written["make"]


def make_wide(width: int) -> tuple[list[type], Callable[[], object]]:
    """Make leaves, a root that needs all of them, and the hand-written code for them."""
    names = [f"leaf_{number}" for number in range(width)]
    classes = (f"class Leaf{number}:\n    pass\n" for number in range(width))
    parameters = ", ".join(f"{name}: Leaf{number}" for number, name in enumerate(names))
    root = (
        f"class Root:\n"
        f"    def __init__(self, {parameters}) -> None:\n"
        f"        self.leaves = ({', '.join(names)})\n"
    )
    steps = (
        f"        {name} = services[Leaf{number}] = Leaf{number}()\n"
        for number, name in enumerate(names)
    )
    last = f"        root = services[Root] = Root({', '.join(names)})\n        return root\n"
    written = _execute([*classes, root, _BY_HAND, *steps, last])
    return [*(written[f"Leaf{number}"] for number in range(width)), written["Root"]], written[
        "make"
    ]


_BY_HAND = "def make():\n    services = {}\n    with ExitStack():\n"


def _execute(parts: Iterable[str]) -> dict[str, Any]:
    # Some peers look up the module in which a class was defined.
    namespace = {
        "__name__": __name__,
        "Config": Config,
        "CONFIG": CONFIG,
        "ExitStack": ExitStack,
    }
    exec("".join(parts), namespace)  # noqa: S102 - the text is made in this file
    return namespace
