"""A container for each run of a Celery task.

A base class of the tasks opens the containers. Each worker process has its own singletons.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from wares._adapters.extras import needs_extra
from wares._adapters.injecting import SynchronousHandler, refuse_uninjected
from wares._adapters.lifespan import REGISTRY_KEY
from wares._adapters.loops import Loops
from wares._adapters.registries import Keeping, close, demand_kind
from wares._adapters.units import Unit, check, keep_message
from wares._core.container import Registry
from wares.exceptions import WaresError

with needs_extra("wares.celery", "celery"):
    from celery import Celery, signals
    from celery.app.task import Context, Task

__all__ = ["WaresTask", "close_registry", "get_registry", "init_app", "run"]

T = TypeVar("T")

_keeping = Keeping[Celery](
    lambda app: getattr(app, REGISTRY_KEY, None),
    "The application has no registry. Initialise it: wares.celery.init_app(app)",
)
get_registry = _keeping.get_registry

#: Whether the registry of an application is validated as a worker starts.
_VALIDATES_KEY = "wares_validates"

_loops = Loops()


def init_app(app: Celery, *, registry: Registry | None = None, validate: bool = True) -> Celery:
    """Give *app* a registry, and each run of its tasks a container.

    Every task that is defined afterwards is a `WaresTask`, so call this before you define the first
    one. Each worker process has its own singletons, and closes them when it ends.

    Args:
        app: The application.
        registry: The registry to use. By default, the application keeps its registry, or gets a
            new one if it has none or a closed one.
        validate: Whether a worker refuses to start if a registered service cannot be made, or if a
            task asks for a service that is not registered.

    Returns:
        The application.

    Raises:
        InvalidRegistrationError: *app* is no application of Celery, or *registry* no registry.
        InvalidRegistryError: A task that asks for services was defined before this call.
    """
    demand_kind(app, Celery, "init_app takes a Celery application")
    if app.finalized:
        _check_tasks(app)
    registry = _keeping.prepare(app, registry, [Task, Context], _find_handlers)
    setattr(app, REGISTRY_KEY, registry)
    setattr(app, _VALIDATES_KEY, validate)
    untyped: Any = app
    if not issubclass(untyped.Task, WaresTask):
        untyped.Task = type("WaresTask", (WaresTask, untyped.Task), {"abstract": True})
    name = f"wares {id(app)}"
    start = functools.partial(_start, app)
    signals.worker_init.connect(start, weak=False, dispatch_uid=name)
    end = functools.partial(_end, app)
    signals.worker_process_shutdown.connect(end, weak=False, dispatch_uid=name)
    signals.worker_shutdown.connect(end, weak=False, dispatch_uid=name)
    return app


class WaresTask(Task):
    """A task whose runs each have a container; `init_app` makes it the base of all tasks.

    The container is given the `celery.Task` and its request, a `celery.app.task.Context`, and is
    current (`wares.current_container`). The cleanups see the exception that ends the run. This
    includes the exceptions that retry, ignore or reject a task, so such a run rolls back.

    Tasks ask with `wares.Inject` and `wares.Depends`, without a decorator. An asynchronous task
    runs in the event loop of its thread. Synchronous tasks can also ask for services that have to
    be awaited.
    """

    abstract = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        run = vars(cls).get("run")
        if run is not None:
            is_static = isinstance(run, staticmethod)
            injected = _inject(run.__func__ if is_static else run)
            untyped: Any = cls
            untyped.run = staticmethod(injected) if is_static else injected
            if "__header__" in vars(cls):
                # Celery 5.5 to 5.7 uses this to check the arguments of a task before sending it.
                checker = untyped.app.type_checker(injected, bound=not is_static)
                untyped.__header__ = staticmethod(checker)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task, in a container."""
        request = self.request
        given = {Task: self, type(self): self, Context: request}
        try:
            with Unit(get_registry(self.app).container(given), run=_loops.run):
                # In a worker, the request is current already. For a direct call, Celery's
                # `__call__` makes it current.
                call: Any = super().__call__ if request.called_directly else self.run
                return call(*args, **kwargs)
        except WaresError as error:
            if request.called_directly or request.is_eager:
                raise
            raise keep_message(error) from error


def _inject(function: Callable[..., Any]) -> Callable[..., Any]:
    """Inject the services of a task, and run it in an event loop if it is asynchronous."""
    handler = SynchronousHandler(function)

    @functools.wraps(handler.function)
    def run_task(*args: Any, **kwargs: Any) -> Any:
        return handler.call(_loops.run, args, kwargs)

    return run_task


def run(awaitable: Coroutine[Any, Any, T]) -> T:
    """Run *awaitable* in the event loop of this thread, in which its services were made.

    Use this in a synchronous task to call asynchronous methods of services.

    Args:
        awaitable: A coroutine.

    Returns:
        Its result.
    """
    return _loops.run(awaitable)


def close_registry(app: Celery) -> None:
    """Close the registry of *app* in this process; worker processes do this when they end.

    Args:
        app: The application.

    Raises:
        NoRegistryError: The application has not been initialised.
        PendingAsyncCleanupError: A cleanup must be awaited, and an event loop runs in this thread.
    """
    close(get_registry(app), _loops.run)
    _loops.close()


def _start(app: Celery, sender: Any = None, **_: object) -> None:
    """Refuse to start a worker if a service cannot be made."""
    if not getattr(app, _VALIDATES_KEY) or getattr(sender, "app", None) is not app:
        return
    try:
        check(get_registry(app), "The worker does not start", _find_handlers(app))
    except WaresError as error:
        # Celery would log any other exception, and continue.
        raise SystemExit(str(error)) from error


def _find_handlers(app: Celery) -> list[Callable[..., Any]]:
    """Find the functions of all tasks; refuse tasks that never get their services."""
    app.finalize()
    _check_tasks(app)
    return [
        SynchronousHandler(inspect.unwrap(task.run)).function for task in app.tasks.values()
    ]


def _check_tasks(app: Celery) -> None:
    tasks = [task for task in app.tasks.values() if not isinstance(task, WaresTask)]
    refuse_uninjected(
        [inspect.unwrap(task.run) for task in tasks],
        "Call init_app before the first task is defined; if the task has a base class of its own, "
        "derive that from wares.celery.WaresTask.",
    )


def _end(app: Celery, **_: object) -> None:
    close_registry(app)
