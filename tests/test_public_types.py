"""The annotations of what is public can be read at run time, as frameworks and documents do."""

import inspect
import typing

import pytest

import wares
import wares.health
import wares.observers

MODULES = [wares, wares.health, wares.observers]
PUBLIC = sorted(
    {
        thing
        for module in MODULES
        for name in getattr(module, "__all__", vars(module))
        if not name.startswith("_")
        and (inspect.isclass(thing := getattr(module, name)) or inspect.isfunction(thing))
        and thing.__module__.startswith("wares")
    },
    key=lambda thing: thing.__qualname__,
)


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


@pytest.mark.parametrize("thing", PUBLIC, ids=lambda thing: thing.__qualname__)
def test_type_hints(thing):
    """`typing.get_type_hints` reads each public function, each class and each of its methods."""
    if inspect.isclass(thing):
        typing.get_type_hints(thing)

    read = [typing.get_type_hints(function) for function in functions_of(thing)]

    assert all(isinstance(hints, dict) for hints in read)


def test_what_is_read():
    """The test above meets what there is to meet: containers, registries and markers."""
    assert {wares.Container, wares.Registry, wares.Depends, wares.inject} <= set(PUBLIC)
    assert wares.Container.get in set(functions_of(wares.Container))
