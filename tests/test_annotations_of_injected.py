"""Tests of injected functions whose annotations have names that do not exist yet.

Such annotations are strings, or from Python 3.14 on, evaluated only when they are read.
"""

import inspect
import sys

import pytest

from tests.support import injected_in_strings
from tests.support.loading import load_lazily
from tests.support.services import Database
from wares import Registry, UnresolvableParameterError, inject

KINDS = ["strings", "lazily"] if sys.version_info >= (3, 14) else ["strings"]


@pytest.fixture(scope="module")
def lazy():
    """The functions with annotations that are evaluated when they are read (PEP 649)."""
    return load_lazily(injected_in_strings)


@pytest.fixture(params=KINDS)
def strings(request):
    """The functions, with annotations of each kind."""
    return (
        injected_in_strings if request.param == "strings" else request.getfixturevalue("lazy")
    )


def test_what_is_imported_for_type_checkers(strings):
    """A class that is imported for type checkers only is found, and not before the first call."""
    sys.modules.pop("tests.support.only_injected", None)
    with Registry() as registry, registry.container() as container, container.activate():
        strings.ask_later("ada")
    assert "tests.support.only_injected" not in sys.modules

    with Registry() as registry, registry.container() as container, container.activate():
        hidden, other = strings.ask_hidden()
        pair = strings.ask_deep()

    assert "Hidden" == type(hidden).__name__
    assert hidden is other is pair[0]
    assert (1, 5432) == pair[1:]


def test_what_is_imported_already(strings):
    """A class that somebody else has imported already is asked for like any other."""
    assert isinstance(strings.ask_imported(), Database)


def test_what_is_defined_later(strings):
    """A class or function that is defined later is found at the first call."""
    name, later, port = strings.ask_later("ada")

    assert ("ada", 5432, strings.Later) == (name, port, type(later))
    assert ["name"] == list(inspect.signature(strings.ask_later).parameters)


def test_what_is_passed_before_anything_is_read(strings):
    """Arguments that are passed win in the first call, too."""
    ask = inject(strings.ask_later.__wrapped__)

    assert ("ada", "later", 5432) == ask("ada", later="later")


def test_an_alias_that_is_defined_later(strings):
    """A marker that is not known when the function is decorated is refused at the first call."""
    with pytest.raises(UnresolvableParameterError, match="before the function is decorated"):
        strings.ask_alias("ada")


def test_what_nobody_fills_may_be_unknown(strings):
    """Parameters that are left to callers may be annotated with anything."""
    strange, other, text, it = strings.ask_unmarked(1, 2, 3)

    assert (1, 2, 3, strings.Later) == (strange, other, text, type(it))


def test_arguments_of_a_class_to_come(strings):
    """Callers may pass an argument of a dependency whose annotation names a later class."""
    later, made, number = strings.ask_with_arguments(later="later", number=1)

    assert ("later", strings.Later, 1) == (later, type(made), number)
    assert ["number"] == list(inspect.signature(strings.ask_with_arguments).parameters)


@pytest.mark.parametrize("name", ["ask_nowhere", "ask_nowhere_generic"])
def test_what_is_never_there(strings, name):
    """A marked parameter whose class is not to be found is an error that says so."""
    for _ in range(2):
        with pytest.raises(UnresolvableParameterError, match="'it'"):
            getattr(strings, name)()


def test_what_is_registered_only(strings):
    """A class that is registered, and that the module cannot name, is not found by its name."""

    class OnlyRegistered:
        pass

    with Registry() as registry:
        registry.register_factory(OnlyRegistered, OnlyRegistered)
        with registry.container() as container, container.activate():
            with pytest.raises(UnresolvableParameterError, match="contains an undefined name"):
                strings.ask_registered(1, a=2)


def test_a_dependency_that_is_defined_later(strings):
    """Depends in a string may name a function that is defined later."""
    ask = inject(strings.ask_by_function.__wrapped__)

    assert "later" == strings.ask_by_function() == ask()


def test_local_names(strings):
    """Classes of the function around are found, also from methods and in dependencies."""
    Local, ask, method = strings.make_local()

    one, two = ask()

    assert isinstance(one, Local)
    assert isinstance(two, Local)
    assert isinstance(method(), Local)


def test_local_names_of_what_others_decorate(strings):
    """Classes of all functions around are found, whoever calls `inject`."""
    Local, *functions = strings.make_local_elsewhere()

    assert all(isinstance(ask(), Local) for ask in functions)


def test_local_names_that_are_bound_later(strings):
    """A local class that is defined later is found at the first call."""
    Local, ask, ask_deep = strings.make_local_later()

    # First the one that names it nowhere itself.
    assert isinstance(ask_deep(), Local)
    assert all(isinstance(it, Local) for it in ask())


def test_a_local_name_wins(strings):
    """A local class wins over one of the module that has the same name, for local functions."""
    Later, ask = strings.make_shadowing()

    assert [Later, strings.Later] == list(map(type, ask()))
