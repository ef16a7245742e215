"""What `wares.celery` promises to type checkers; read by them, not run."""

from typing import assert_type

from celery import Celery

from wares import Registry
from wares.celery import WaresTask, close_registry, get_registry, init_app, run

app = init_app(Celery("shop"), registry=Registry(), validate=False)
assert_type(app, Celery)
assert_type(get_registry(app), Registry)
close_registry(app)


async def count() -> int:
    """Count."""
    return 3


assert_type(run(count()), int)


class Task(WaresTask):
    """A base class of one's own."""


init_app(3)  # type: ignore[arg-type]  # no application
run(3)  # type: ignore[arg-type]  # nothing to await
