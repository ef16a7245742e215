"""What users of svcs rely on in its adapters, and find in those of wares."""

import contextlib
import typing

import flask
import pytest
from starlette.applications import Starlette

import wares


@pytest.fixture
def app_context(registry):
    """An application of Flask, in its context."""
    app = wares.flask.init_app(flask.Flask("tests"), registry=registry)
    with app.app_context():
        yield


@pytest.mark.usefixtures("app_context")
class TestOverwriting:
    """`wares.flask.overwrite_value`."""

    def test_a_context_manager_is_entered(self, registry):
        """A value that is a context manager is entered, as if a factory had returned it."""
        registry.register_value(str, "before")
        wares.flask.overwrite_value(str, contextlib.nullcontext("entered"))

        assert "entered" == wares.flask.wares_from().get(str)

    def test_without_entering(self):
        """It is not entered with `enter=False`, and other values are handed out as ever."""
        manager = contextlib.nullcontext("entered")
        wares.flask.overwrite_value(str, manager, enter=False)
        wares.flask.overwrite_value(int, 5)

        assert (manager, 5) == wares.flask.wares_from().get(str, int)


@pytest.mark.parametrize("adapter", ["starlette", "fastapi"])
class TestGetRegistry:
    """`get_registry`."""

    def test_type_hints(self, adapter):
        """Its annotations can be read at run time, also without a test client."""
        hints = typing.get_type_hints(getattr(wares, adapter).get_registry)

        assert wares.Registry is hints["return"]

    def test_where_there_is_none(self, adapter):
        """Where there is no registry, the error is a `LookupError`."""
        with pytest.raises(LookupError):
            getattr(wares, adapter).get_registry(Starlette())
