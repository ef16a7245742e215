"""The services of wireup's published benchmark: Settings, and A to I.

Settings, A and B live as long as the application. C to I are made once per request: C to G need
each other, a generator makes H, and an async generator makes I.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.wiring import Wiring, expect


class Settings:
    """The settings of the application."""

    start = 10


@dataclass(frozen=True)
class A:
    """Needs the settings."""

    start: int


@dataclass(frozen=True)
class B:
    """Needs A."""

    a: A


@dataclass(frozen=True)
class C:
    """Needs nothing; the first service that lives for a request."""


@dataclass(frozen=True)
class D:
    """Needs C."""

    c: C


@dataclass(frozen=True)
class E:
    """Needs C and D."""

    c: C
    d: D


@dataclass(frozen=True)
class F:
    """Needs C to E."""

    c: C
    d: D
    e: E


@dataclass(frozen=True)
class G:
    """Needs C to F."""

    c: C
    d: D
    e: E
    f: F


@dataclass(frozen=True)
class H:
    """Needs C and D, and ends with the request."""

    c: C
    d: D


@dataclass(frozen=True)
class I:  # noqa: E742 - the name that wireup's benchmark gives it
    """Needs E and F, and ends with the request."""

    e: E
    f: F


class Ended:
    """Counts how many services have ended, for checks."""

    h = 0
    i = 0


def make_a(settings: Settings) -> A:
    """Make A from the settings."""
    return A(settings.start)


def open_h(c: C, d: D) -> Iterator[H]:
    """Make H, and end it."""
    try:
        yield H(c, d)
    finally:
        Ended.h += 1


async def open_i(e: E, f: F) -> AsyncIterator[I]:
    """Make I, and end it."""
    try:
        yield I(e, f)
    finally:
        Ended.i += 1


def use_singletons(a: A, b: B) -> dict[str, int]:
    """Do the work of the first endpoint."""
    expect(type(a) is A and type(b) is B and b.a is a, "not the application's A and B")
    return {"start": a.start}


def use_scoped(
    c: C, cc: C, ccc: C, d: D, dd: D, e: E, f: F, g: G, h: H, i: I
) -> dict[str, int]:
    """Do the work of the second endpoint: look at its ten arguments, some of which are the same."""
    expect(c is cc and cc is ccc and d is dd, "made twice for one request")
    expect(d.c is c and e.d is d and f.e is e and g.f is f, "not built on each other")
    expect(h.d is d and i.f is f, "H and I are not built on the others")
    return {"ended": Ended.h + Ended.i}


THE_A = make_a(Settings())
#: The wiring for peers whose applications make A and B before they start.
LETTERS = Wiring(
    "letters",
    {A: THE_A, B: B(THE_A)},
    (C, D, E, F, G, open_h, open_i),
    I,
    lambda first, second: None,
)
_SCOPED = {"c": C, "cc": C, "ccc": C, "d": D, "dd": D, "e": E, "f": F, "g": G, "h": H, "i": I}

Endpoint = Callable[..., Awaitable[dict[str, int]]]


def make_endpoints(mark: Callable[[type], Any]) -> dict[str, Endpoint]:
    """Make the two endpoints, whose annotations say what they need.

    Args:
        mark: Makes the annotation that the peer wants for a type.

    Returns:
        The endpoints, by path.
    """

    async def singleton(a: A, b: B) -> dict[str, int]:
        return use_singletons(a, b)

    async def scoped(
        c: C, cc: C, ccc: C, d: D, dd: D, e: E, f: F, g: G, h: H, i: I
    ) -> dict[str, int]:
        return use_scoped(c, cc, ccc, d, dd, e, f, g, h, i)

    singleton.__annotations__ |= {"a": mark(A), "b": mark(B)}
    scoped.__annotations__ |= {name: mark(kind) for name, kind in _SCOPED.items()}
    return {"/singleton": singleton, "/scoped": scoped}
