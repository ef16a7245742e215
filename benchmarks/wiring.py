"""The services that candidates register and make, described once for all of them.

A `Wiring` names the values, the factories (classes and generator functions whose annotations say
what they need) and the root to ask for. Each candidate translates it into its own registrations.
The candidate "by hand" has code for each wiring.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, get_args, get_type_hints

from benchmarks import work
from benchmarks.families import make_chain, make_leaves, make_wide

Factory = Callable[..., Any]


@dataclass(frozen=True)
class Wiring:
    """The services of one piece of work.

    Attributes:
        name: The name by which the hand-written candidate finds its code.
        values: The ready-made objects, by type.
        factories: The factories; each needs only earlier ones.
        root: The type to ask for.
        check: Takes two roots that were made one after the other in two containers, and raises
            AssertionError if they are wrong.
    """

    name: str
    values: Mapping[type, object]
    factories: Sequence[Factory]
    root: type
    check: Callable[[Any, Any], None]

    @property
    def cleans_up(self) -> bool:
        """Whether any service has to be cleaned up."""
        return any(map(is_generator, self.factories))

    @cached_property
    def asynchronous(self) -> frozenset[type]:
        """The keys of services that async generators make, or that need such a service."""
        found: set[type] = set()
        for factory in self.factories:
            if inspect.isasyncgenfunction(factory) or found & set(needs_of(factory).values()):
                found.add(key_of(factory))
        return frozenset(found)


# The result is cached, so that it takes no time of a candidate that registers.
@cache
def key_of(factory: Factory) -> type:
    """Find the type that a factory makes."""
    if inspect.isclass(factory):
        return factory
    made: type = get_args(get_type_hints(factory)["return"])[0]
    return made


@cache
def needs_of(factory: Factory) -> dict[str, type]:
    """Find the types that a factory needs, by the names of its parameters."""
    hints = get_type_hints(factory.__init__ if inspect.isclass(factory) else factory)
    hints.pop("return", None)
    return hints


def is_generator(factory: Factory) -> bool:
    """Tell whether the service of a factory has to be cleaned up."""
    return inspect.isgeneratorfunction(factory) or inspect.isasyncgenfunction(factory)


def expect(truth: bool, claim: str) -> None:
    """Raise AssertionError if a claim about a candidate's result is not true."""
    if not truth:
        raise AssertionError(claim)


def check_value(first: Any, second: Any) -> None:
    """Check that the service is the registered object itself."""
    expect(first is work.CONFIG and second is work.CONFIG, "another object than registered")


def check_engine(first: Any, second: Any) -> None:
    """Check that each container makes its own engine, on the registered configuration."""
    expect(type(first) is work.Engine, f"not an engine: {first!r}")
    expect(first.config is work.CONFIG, "the engine has another configuration")
    expect(first is not second, "two containers shared one scoped service")


def check_users(first: Any, second: Any) -> None:
    """Check that each container makes its own session, and commits and closes it once."""
    expect(type(first) is work.Users, f"not a repository: {first!r}")
    for users in (first, second):
        check_engine(users.session.engine, None)
        expect(users.session.committed == 1, f"committed {users.session.committed} times")
        expect(users.session.closed == 1, f"session closed {users.session.closed} times")
    expect(first.session is not second.session, "two containers shared one session")


def check_shop(first: Any, second: Any) -> None:
    """Check that the three repositories share the container's session, which is closed once."""
    expect(type(first) is work.Shop, f"not a shop: {first!r}")
    for shop in (first, second):
        session = shop.users.session
        expect(type(shop.users) is work.Users, "not the users")
        expect(type(shop.orders) is work.Orders, "not the orders")
        expect(type(shop.products) is work.Products, "not the products")
        expect(shop.orders.session is session, "users and orders have two sessions")
        expect(shop.products.session is session, "users and products have two sessions")
    check_users(first.users, second.users)


def check_pair(first: Any, second: Any) -> None:
    """Check that each container makes one pool and one unit, and closes the unit first."""
    expected = ["pool opens", "unit opens", "unit closes", "pool closes"]
    for pair in (first, second):
        expect(type(pair) is work.Pair, f"not a pair: {pair!r}")
        expect(pair.unit.pool is pair.pool, "one container made two pools")
        expect(pair.pool.events == expected, f"closed in the wrong order: {pair.pool.events}")
    expect(first.pool is not second.pool, "two containers shared one pool")


def _checking_leaf(root: type) -> Callable[[Any, Any], None]:
    def check(first: Any, second: Any) -> None:
        expect(type(first) is root, f"not a {root.__name__}: {first!r}")
        expect(first.config is work.CONFIG, "another configuration")
        expect(first is not second, "two containers shared one scoped service")

    return check


def _check_chain(first: Any, second: Any) -> None:
    length, link = 0, first
    while link is not work.CONFIG:
        length, link = length + 1, link.previous
    expect(length == CHAIN_LENGTH, f"{length} links")
    expect(first is not second, "two containers shared one scoped service")


def _check_wide(first: Any, second: Any) -> None:
    expected = WIDE.factories[:-1]
    expect(list(map(type, first.leaves)) == list(expected), "other leaves than asked for")
    expect(first is not second, "two containers shared one scoped service")


CHAIN_LENGTH = 50
WIDTH = 200

_VALUES = {work.Config: work.CONFIG}
_REPOSITORIES = (work.Users, work.Orders, work.Products)
_SESSIONS = {
    "": work.open_session,
    " async": work.open_async_session,
    " instant": work.open_instant_session,
}
_CHAIN, chain_by_hand = make_chain(CHAIN_LENGTH)
_WIDE, wide_by_hand = make_wide(WIDTH)

VALUE = Wiring("value", _VALUES, (), work.Config, check_value)
FACTORY = Wiring("factory", _VALUES, (work.Engine,), work.Engine, check_engine)
THREE_LEVELS, THREE_LEVELS_ASYNC, THREE_LEVELS_INSTANT = (
    Wiring(
        f"three levels{kind}",
        _VALUES,
        (work.Engine, session, work.Users),
        work.Users,
        check_users,
    )
    for kind, session in _SESSIONS.items()
)
GRAPH, GRAPH_ASYNC, GRAPH_INSTANT = (
    Wiring(
        f"graph{kind}",
        _VALUES,
        (work.Engine, session, *_REPOSITORIES, work.Shop),
        work.Shop,
        check_shop,
    )
    for kind, session in _SESSIONS.items()
)
# These two are never timed, but every candidate that cleans up has to pass their checks first.
ORDER = Wiring(
    "order", _VALUES, (work.open_pool, work.open_unit, work.Pair), work.Pair, check_pair
)
ORDER_ASYNC = Wiring(
    "order async",
    _VALUES,
    (work.open_async_pool, work.open_async_unit, work.Pair),
    work.Pair,
    check_pair,
)
CHAIN = Wiring("chain", _VALUES, _CHAIN, _CHAIN[-1], _check_chain)
WIDE = Wiring("wide", _VALUES, _WIDE, _WIDE[-1], _check_wide)


def make_registry_wiring(count: int) -> Wiring:
    """Describe a registry of many services, whose root is the one in the middle."""
    leaves = make_leaves(count)
    root = leaves[count // 2]
    return Wiring("leaf", _VALUES, leaves, root, _checking_leaf(root))
