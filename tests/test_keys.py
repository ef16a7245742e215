"""Which objects can be keys, and how a key is printed."""

import abc
import enum
import typing
from collections.abc import Callable, Iterable

import pytest
from typing_extensions import TypeAliasType

from tests.support import services
from tests.support.messages import missing_parts
from tests.support.services import Database
from wares import InvalidRegistrationError, ServiceNotFoundError

Port = typing.NewType("Port", int)
Host = typing.NewType("Host", int)
Content = typing.TypeVar("Content")


class Readable(typing.Protocol):
    def read(self) -> str: ...


class Storage(abc.ABC):
    @abc.abstractmethod
    def store(self) -> None: ...


class Box(typing.Generic[Content]):
    pass


class Colour(enum.Enum):
    RED = 1


class Outer:
    class Inner:
        pass


class Frozen(tuple):
    """A hashable object of a user's own."""


KEYS = [
    Database,
    typing.Annotated[Database, "reporting"],
    typing.Annotated[Database, 1, "two"],
    Port,
    list[Database],
    dict[str, list[Database]],
    typing.Iterable[Database],
    Iterable[Database],
    Callable[[int], str],
    Box[int],
    Box,
    Database | None,
    typing.Optional[int],
    typing.Literal["production"],
    type[Database],
    Readable,
    Storage,
    Colour,
    Colour.RED,
    Outer.Inner,
    "database",
    "",
    0,
    42,
    1.5,
    b"bytes",
    ("a", 1),
    frozenset({1}),
    Frozen((1,)),
    None,
    ...,
    object(),
    len,
    typing.Any,
    services,
]


@pytest.mark.parametrize("key", KEYS, ids=repr)
async def test_anything_hashable_is_a_key(way, registry, container, key):
    """A value or a factory may be registered under anything hashable."""
    service = object()
    registry.register_value(key, service)

    assert (service, True, [key]) == (
        await way.get(container, key),
        key in registry,
        list(registry),
    )

    registry.register_factory(key, Database)
    with registry.container() as second:
        assert Database is type(await way.get(second, key))


async def test_every_key_keeps_its_own_service(way, registry, container):
    """Keys that look alike but differ are asked for apart from each other."""
    made = {key: object() for key in KEYS}
    for key, service in made.items():
        registry.register_value(key, service)

    assert made == {key: await way.get(container, key) for key in KEYS}
    assert tuple(made.values()) == await way.get(container, *KEYS)


def test_annotated_keys_differ_by_name(registry, container):
    """One type may be registered several times under different names."""
    registry.register_value(int, 1)
    registry.register_value(typing.Annotated[int, "first"], 2)
    registry.register_value(typing.Annotated[int, "second"], 3)

    assert (3, 1, 2) == container.get(
        typing.Annotated[int, "second"], int, typing.Annotated[int, "first"]
    )


async def test_an_alias_is_what_it_stands_for(way, registry):
    """An alias of PEP 695 is the same key as the type behind it, in given services, too."""
    alias = TypeAliasType("alias", Database)
    registry.expect(alias)
    given, inner = Database(), Database()

    with registry.container({alias: given}) as container:
        with container.child({alias: inner}) as child:
            assert inner is await way.get(child, Database) is await way.get(child, alias)
        assert given is await way.get(container, Database) is await way.get(container, alias)
        assert alias in container
        assert Database in container


def test_new_types_of_one_type_differ(registry, container):
    """Two `NewType`s of one type are two keys."""
    registry.register_value(Port, 80)
    registry.register_value(Host, 1)

    assert (1, 80) == container.get(Host, Port)


@pytest.mark.parametrize(
    "key",
    [
        typing.Annotated[Database, "reporting"],
        Port,
        list[Database],
        Box[int],
        Database | None,
        Readable,
        Storage,
        typing.Literal["production"],
        Callable[[int], str],
    ],
    ids=repr,
)
@pytest.mark.parametrize("in_strings", [False, True], ids=["objects", "strings"])
async def test_any_annotation_is_a_key(way, registry, container, key, in_strings, monkeypatch):
    """A parameter is resolved by its whole annotation, of any kind."""

    def make(needed):
        return [needed]

    make.__annotations__ = {"needed": "typing_key" if in_strings else key}
    monkeypatch.setitem(make.__globals__, "typing_key", key)
    registry.register_value(key, "needed")
    registry.register_factory("made", make)

    assert ["needed"] == await way.get(container, "made")


def test_a_bare_type_is_not_found_under_its_annotated_key(registry, container):
    """`Annotated[T, "name"]` says nothing about `T`, nor the other way round."""
    registry.register_value(typing.Annotated[Database, "reporting"], Database())

    with pytest.raises(ServiceNotFoundError):
        container.get(Database)

    assert Database not in registry


def test_a_subclass_is_not_found_under_its_base(registry, container):
    """Keys are compared, not searched by inheritance."""
    registry.register_value(Storage, "storage")

    with pytest.raises(ServiceNotFoundError):
        container.get(type("Disk", (Storage,), {}))

    assert "storage" == container.get(Storage)


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        (Database, ["Database"]),
        (typing.Annotated[Database, "reporting"], ["Database", "reporting"]),
        (Port, ["Port"]),
        (set[Database], ["set[Database]"]),
        (dict[str, Database], ["dict[str, Database]"]),
        (dict[str, list[Database]], ["dict[str, list[Database]]"]),
        (Box[int], ["Box[int]"]),
        (Database | int, ["Database", "int"]),
        (typing.Literal["production"], ["Literal", "production"]),
        (Callable[[int], str], ["Callable", "int", "str"]),
        (Outer.Inner, ["Outer.Inner"]),
        (Readable, ["Readable"]),
        (Colour.RED, ["RED"]),
        ("database", ["'database'"]),
        (42, ["42"]),
        (("a", 1), ["('a', 1)"]),
        (None, ["None"]),
        (object(), ["object"]),
    ],
    ids=repr,
)
def test_a_key_is_printed_as_it_is_written(container, key, parts):
    """A message names a key as one would write it in a program."""
    with pytest.raises(ServiceNotFoundError) as caught:
        container.get(key)

    assert [] == missing_parts(str(caught.value), *parts)
    assert key == caught.value.key


UNHASHABLE = [
    pytest.param([], id="list"),
    pytest.param({}, id="dict"),
    pytest.param(typing.Annotated[int, []], id="annotated"),
    pytest.param(([],), id="tuple of a list"),
]


class Unreadable:
    """An object that cannot even be shown."""

    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (Unreadable(), "<Unreadable>"),
        (typing.Annotated[int, Unreadable()], "Annotated[int, <Unreadable>]"),
        (typing.Annotated[int, object()], "Annotated[int, <object>]"),
        (typing.Annotated[int, "name", 5], "Annotated[int, 'name', 5]"),
    ],
)
def test_a_key_that_cannot_be_shown_is_named_by_its_type(container, key, name):
    """A key without a readable representation is named by its type, without an address."""
    with pytest.raises(ServiceNotFoundError) as caught:
        container.get(key)

    assert f"Nothing is registered for {name}." in str(caught.value)


@pytest.mark.parametrize("key", UNHASHABLE)
def test_an_unhashable_key_cannot_be_registered(registry, container, key):
    """An unhashable key is refused at every place that takes a key for keeping."""
    attempts = [
        lambda: registry.register_factory(key, Database),
        lambda: registry.register_value(key, 1),
        lambda: registry.expect(key),
        lambda: registry.override_factory(key, Database).__enter__(),
        lambda: registry.override_value(key, 1).__enter__(),
        lambda: container.register_local_factory(key, Database),
        lambda: container.register_local_value(key, 1),
    ]

    for attempt in attempts:
        with pytest.raises(InvalidRegistrationError, match="hashable"):
            attempt()
    assert [] == list(registry)


@pytest.mark.parametrize("key", UNHASHABLE)
async def test_an_unhashable_key_cannot_be_asked_for(way, container, key):
    """Asking for an unhashable key is a `TypeError`, as it is in a dictionary."""
    with pytest.raises(TypeError, match="hashable"):
        await way.get(container, key)


async def test_keys_are_never_compared_by_truth(way, registry, container):
    """A key whose `__eq__` returns something that is no bool is found by identity."""

    class Ambiguous:
        __hash__ = object.__hash__

        def __eq__(self, other):
            return Undecided() if other is not self else True

    class Undecided:
        def __bool__(self):
            raise ValueError("ambiguous")

    key = Ambiguous()
    registry.register_value(key, 1)

    assert 1 == await way.get(container, key)
