"""The guest book, with tasks that run where they are called."""

import pytest

from examples.celery.application import make_app
from wares.celery import close_registry


@pytest.fixture
def sign(tmp_path):
    """The task of a guest book of its own."""
    app = make_app(str(tmp_path / "guests.db"))
    app.conf.task_always_eager = True
    yield app.tasks["sign"]
    close_registry(app)


def test_guests_are_counted(sign):
    """Each guest has a number; one without a name is not kept."""
    with pytest.raises(ValueError, match="without a name"):
        sign.delay(" ").get()

    assert 1 == sign.delay("Ada").get()
    assert 2 == sign.delay("Grace").get()
