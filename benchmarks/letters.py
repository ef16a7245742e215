"""The services of wireup's published benchmark: Settings, and A to I, each on those before it.

Settings, A and B live as long as the application; C to G need each other, H is made by a
generator and I by an async generator, all of them once per request.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.wiring import Wiring, expect


class Settings:
    """What the application is told."""

    start = 10


@dataclass(frozen=True)
class A:
    """Starts where the settings say."""

    start: int


@dataclass(frozen=True)
class B:
    """Needs A."""

    a: A


@dataclass(frozen=True)
class C:
    """The first that lives for a request."""


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
    """Counts what has ended, so that a check can look."""

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
    """Do what the first endpoint does."""
    expect(type(a) is A and type(b) is B and b.a is a, "not the application's A and B")
    return {"start": a.start}


def use_scoped(
    c: C, cc: C, ccc: C, d: D, dd: D, e: E, f: F, g: G, h: H, i: I
) -> dict[str, int]:
    """Do what the second endpoint does: look at all ten, twice at some."""
    expect(c is cc and cc is ccc and d is dd, "made twice for one request")
    expect(d.c is c and e.d is d and f.e is e and g.f is f, "not built on each other")
    expect(h.d is d and i.f is f, "H and I are not built on the others")
    return {"ended": Ended.h + Ended.i}


THE_A = make_a(Settings())
#: For peers whose applications make what lives as long as they do before they start.
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
    """Write the two endpoints, whose parameters say by annotation what they need.

    Args:
        mark: Makes the annotation of a parameter, as the peer wants it.

    Returns:
        The endpoints by their paths.
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
