"""Annotations of public names can be read at run time, as frameworks do."""

import inspect
import pkgutil
import types
import typing

import pytest

import wares

MODULES = [
    "wares",
    "wares.socketio.fastsio",
    *(
        f"wares.{found.name}"
        for found in pkgutil.iter_modules(wares.__path__)
        if not found.name.startswith("_")
    ),
]


def things_of(module):
    """List the classes and functions that a module makes public."""
    names = getattr(module, "__all__", vars(module))
    things = [getattr(module, name) for name in names if not name.startswith("_")]
    return [
        thing
        for thing in things
        # Not by `isinstance`: a proxy would look for what it stands for.
        if issubclass(type(thing), (type, types.FunctionType))
        and thing.__module__.startswith("wares")
    ]


def functions_of(thing):
    """Yield a function, or the public methods of a class, as far as they are written in Python."""
    if inspect.isfunction(thing):
        yield thing
        return
    for name, member in inspect.getmembers_static(thing):
        function = inspect.unwrap(getattr(member, "fget", getattr(member, "__func__", member)))
        if (
            inspect.isfunction(function)
            and function.__module__.startswith("wares")
            and (not name.startswith("_") or name in {"__init__", "__enter__", "__exit__"})
        ):
            yield function


@pytest.mark.parametrize("name", MODULES)
def test_type_hints(name):
    """`typing.get_type_hints` reads each public function, each class and each of its methods."""
    module = pytest.importorskip(name, reason="its framework", exc_type=ImportError)
    things = things_of(module)

    for thing in things:
        read = [typing.get_type_hints(each) for each in (thing, *functions_of(thing))]

        assert all(isinstance(hints, dict) for hints in read)
    assert things


def test_what_is_read():
    """The test above meets what there is to meet: containers, registries and markers."""
    things = things_of(wares)

    assert {wares.Container, wares.Registry, wares.Depends, wares.inject} <= set(things)
    assert wares.Container.get in set(functions_of(wares.Container))
