"""What adapters inject without a decorator: our own markers, and nobody else's."""

import inspect
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import fast_depends
import pytest

import wares
from wares import Inject, Registry, inject
from wares._adapters.injecting import inject_own

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForTypes


@pytest.fixture
def registry():
    """A registry with a number, whose container is current."""
    registry = Registry()
    registry.register_value(int, 3)
    with registry.container() as container, container.activate():
        yield registry


def parameters_of(function):
    """Name the parameters that callers see."""
    return list(inspect.signature(function).parameters)


def give() -> str:
    return "given"


def test_other_markers_stay(registry):
    """A marker of another framework stays in the signature, in either notation."""
    theirs = fast_depends.Depends(give)

    def handle(
        number: Inject[int],
        first: Annotated[str, theirs],
        second: str = theirs,
        third: Annotated[int, wares.Depends(int)] = 0,
        fourth: int = 4,
    ):
        return number, first, second, third, fourth

    injected = inject_own(handle)

    assert ["first", "second", "fourth"] == parameters_of(injected)
    assert theirs is inspect.signature(injected).parameters["second"].default
    assert {"first", "second", "fourth"} == set(injected.__annotations__)
    assert (3, "a", "b", 3, 4) == injected(first="a", second="b")


async def test_kinds_stay(registry):
    """An asynchronous function stays one, under its name."""

    async def handle(number: Inject[int]):
        """Tell the number."""
        return number

    injected = inject_own(handle)

    assert inspect.iscoroutinefunction(injected)
    assert ("handle", "Tell the number.") == (injected.__name__, injected.__doc__)
    assert 3 == await injected()


def test_a_function_that_asks_for_nothing_is_left_alone():
    """Nothing is put around a function without markers of ours, injected ones among them."""

    def handle(first: Annotated[str, fast_depends.Depends(give)], *rest: Any):
        """Ask for nothing."""

    injected = inject(give)

    assert handle is inject_own(handle)
    assert injected is inject_own(injected)


def test_names_that_only_inject_finds(registry):
    """Annotations that Python cannot evaluate are read by `inject`."""

    def handle(number: Inject[int], other: "OnlyForTypes | None" = None):
        return number, other

    assert (3, None) == inject_own(handle)()


def test_names_for_type_checkers_beside_other_markers(registry):
    """Strings, and what is imported for type checkers only, hide neither marker."""
    registry.register_value(Decimal, Decimal(5))
    theirs = fast_depends.Depends(give)

    def handle(number: "Inject[OnlyForTypes]", first: "Annotated[str, theirs]"):
        return number, first

    injected = inject_own(handle)

    assert ["first"] == parameters_of(injected)
    assert (5, "given") == injected(first="given")
