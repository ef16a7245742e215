"""The targets of wares, by row."""

from collections.abc import Mapping

from benchmarks.figures import Target


def _by_hand(limit: float) -> Target:
    return Target(limit, of="by hand", first=True)


_VALUE = Target(0.4, of="svcs", first=True)
_FACTORY = _by_hand(1.3)
_FAMILY = _by_hand(1.9)
_INJECT = _by_hand(1.8)
_ASKING_ASYNC = _by_hand(4)
_HALF_OF_SVCS = Target(0.5, of="svcs", above="by hand", first=True)
_WIREUP = Target(1, of="wireup", first=True)

#: The targets, by the names of the rows.
TARGETS: Mapping[str, Target] = {
    "cached": _by_hand(5),
    "value": _VALUE,
    "value-async": _VALUE,
    "factory": _FACTORY,
    "factory-async": _FACTORY,
    "graph": _by_hand(1.45),
    "graph-async": _by_hand(1.35),
    "graph-async-instant": _by_hand(1.8),
    "asking": _by_hand(3.5),
    "asking-async": _ASKING_ASYNC,
    "asking-async-instant": _ASKING_ASYNC,
    "chain": _FAMILY,
    "chain-async": _FAMILY,
    "wide": _FAMILY,
    "wide-async": _FAMILY,
    "inject": _INJECT,
    "inject-async": _INJECT,
    "inject-async-instant": _INJECT,
    "memory": Target(250),
    "import": Target(1.7, of="attrs alone"),
    # This is 90 percent of the requests per second of the hand-written endpoint.
    "fastapi": Target(1 / 0.9, of="by hand", first=True),
    "starlette": _HALF_OF_SVCS,
    "flask": _HALF_OF_SVCS,
    "wireup-singleton": _WIREUP,
    "wireup-scoped": _WIREUP,
}
