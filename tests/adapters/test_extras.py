"""Tests of the error of an adapter whose framework is not installed."""

import pytest

from wares import MissingExtraError
from wares._adapters.extras import needs_extra


def test_a_package_that_is_missing():
    """A missing package is an error that names the extra; the cause stays."""
    with pytest.raises(MissingExtraError, match=r"wares\[shop\]") as caught:
        with needs_extra("wares.shop", "shop", "no_such_package"):
            import no_such_package.module  # noqa: F401  # that is the point

    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_package_that_lacks_something_itself():
    """If the framework itself lacks a package, the error is not replaced."""
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        with needs_extra("wares.shop", "shop"):
            import no_such_package  # noqa: F401  # that is the point


def test_other_errors():
    """Other errors, and none, pass."""
    with needs_extra("wares.shop", "shop"):
        pass
    with pytest.raises(LookupError), needs_extra("wares.shop", "shop"):
        raise LookupError
