"""Tests of the guest book, whose tasks run in the process that calls them."""

import pytest

from examples.celery.application import make_app
from wares.celery import close_registry


@pytest.fixture
def sign(tmp_path):
    """The task of a new guest book."""
    app = make_app(str(tmp_path / "guests.db"))
    app.conf.task_always_eager = True
    yield app.tasks["sign"]
    close_registry(app)


def test_guests_are_counted(sign):
    """Each guest has a number; a guest without a name is not kept."""
    with pytest.raises(ValueError, match="without a name"):
        sign.delay(" ").get()

    assert 1 == sign.delay("Ada").get()
    assert 2 == sign.delay("Grace").get()
