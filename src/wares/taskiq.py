"""A container for each run of a TaskIQ task.

A middleware of the broker opens and closes the containers.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

from wares._adapters.absent_names import explain_names
from wares._adapters.extras import needs_extra
from wares._adapters.injecting import inject_own
from wares._adapters.lifespan import REGISTRY_KEY
from wares._adapters.registries import Keeping, demand_kind
from wares._adapters.units import Unit, check, keep_message, note_failure
from wares._core.container import Registry
from wares.exceptions import WaresError

with needs_extra("wares.taskiq", "taskiq"):
    from taskiq import (
        AsyncBroker,
        InMemoryBroker,
        TaskiqEvents,
        TaskiqMessage,
        TaskiqMiddleware,
        TaskiqResult,
        TaskiqState,
    )
    from taskiq.exceptions import NoResultError

__all__ = ["aclose_registry", "get_registry", "init_broker"]

explain_names(__name__, {"init_app": "Write: init_broker(broker)"})
Broker = TypeVar("Broker", bound=AsyncBroker)

_keeping = Keeping[AsyncBroker](
    lambda broker: broker.state.get(REGISTRY_KEY),
    "The broker has no registry. Initialise it: wares.taskiq.init_broker(broker)",
)
get_registry = _keeping.get_registry
aclose_registry = _keeping.aclose_registry

#: The key in a broker's state for whether its registry is validated when a worker starts.
_VALIDATES_KEY = "wares_validates"

#: The units of work in this context, the innermost first: a task may run within another task.
_units: ContextVar[tuple[Unit, ...]] = ContextVar("wares_taskiq_units", default=())


def init_broker(
    broker: Broker, *, registry: Registry | None = None, validate: bool = True
) -> Broker:
    """Give *broker* a registry, and each run of its tasks a container.

    The container is given the `taskiq.TaskiqMessage`, and is current (`wares.current_container`)
    in tasks, synchronous or not, in dependencies of ``TaskiqDepends``, and in other middlewares. It
    closes before the result is saved; if closing fails, that error is the result. The registry
    closes when the broker shuts down.

    Tasks ask with `wares.Inject` and `wares.Depends`, without a decorator; ``TaskiqDepends``
    remains TaskIQ's. The cleanups see the exception that ends a task. A task that is requeued, or
    rejected without a result, is no failure.

    To start a broker again after it has been shut down, initialise it again, which gives it a new
    registry.

    Args:
        broker: The broker.
        registry: The registry to use. By default, the broker keeps its registry, or gets a new one
            if it has none or a closed one.
        validate: Whether a worker refuses to start if a registered service cannot be made, or if a
            task asks for a service that is not registered. Registrations in later startup handlers
            are not checked.

    Returns:
        The broker.

    Raises:
        InvalidRegistrationError: *broker* is no broker of TaskIQ, or *registry* no registry.
    """
    demand_kind(broker, AsyncBroker, "init_broker takes a broker of TaskIQ")
    present = _keeping.find(broker)
    registry = _keeping.prepare(broker, registry, [TaskiqMessage], _find_handlers)
    broker.state[REGISTRY_KEY] = registry
    broker.state[_VALIDATES_KEY] = validate
    if present is None:
        _install(broker)
    return broker


def _install(broker: AsyncBroker) -> None:
    """Install the middleware, inject the tasks, and start and close the registry with *broker*."""
    _inject_tasks(broker)
    middleware = _Middleware()
    middleware.set_broker(broker)
    broker.middlewares.insert(0, middleware)

    async def start(state: TaskiqState) -> None:
        if state[_VALIDATES_KEY]:
            check(get_registry(broker), "The worker does not start", _find_handlers(broker))
        await get_registry(broker).astart()

    async def end(_: TaskiqState) -> None:
        await aclose_registry(broker)

    broker.add_event_handler(TaskiqEvents.WORKER_STARTUP, start)
    broker.add_event_handler(TaskiqEvents.WORKER_SHUTDOWN, end)
    broker.add_event_handler(TaskiqEvents.CLIENT_SHUTDOWN, end)


class _Middleware(TaskiqMiddleware):
    """The outermost middleware, which opens a container and closes it."""

    def __init__(self) -> None:
        super().__init__()
        # By the names of tasks; kept because reading a signature takes as long as all other steps.
        self._injected: dict[str, Callable[..., Any]] = {}

    def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        """Open the container of a task; inject the task if it was defined after the start."""
        name = message.task_name
        task = self.broker.find_task(name)
        if task is not None and task.original_func is not self._injected.get(name):
            task.original_func = self._injected[name] = _inject(task.original_func)
        unit = Unit(
            get_registry(self.broker).container({TaskiqMessage: message}),
            is_failure=_is_failure,
        )
        unit.__enter__()
        _units.set((unit, *_units.get()))
        return message

    def on_error(
        self,
        message: TaskiqMessage,  # noqa: ARG002  # TaskIQ passes it, and the next one
        result: TaskiqResult[Any],  # noqa: ARG002  # see above
        exception: BaseException,
    ) -> None:
        """Note the exception that ended a task."""
        note_failure(_units.get()[0].container, exception)

    async def post_execute(
        self,
        message: TaskiqMessage,  # noqa: ARG002  # TaskIQ passes it
        result: TaskiqResult[Any],
    ) -> None:
        """Close the container; if that raises an error, the error becomes the result."""
        unit, *outer = _units.get()
        _units.set(tuple(outer))
        unit.leave()
        try:
            await unit.aclose()
        except BaseException as error:  # noqa: BLE001  # TaskIQ also keeps any exception of a task
            result.is_err = True
            result.error = error
            result.return_value = None
        # Only an `InMemoryBroker` stores results as objects.
        if isinstance(result.error, WaresError) and not isinstance(self.broker, InMemoryBroker):
            result.error = keep_message(result.error)


def _inject(function: Callable[..., Any]) -> Callable[..., Any]:
    """Inject the function of a task; errors use its original name, because TaskIQ renames it."""
    return inject_own(function, function.__name__.removesuffix("__taskiq_original"))


def _inject_tasks(broker: AsyncBroker) -> None:
    """Inject tasks when a worker lists them to read their signatures, before its start event."""
    get_all_tasks = broker.get_all_tasks

    def get_injected_tasks() -> dict[str, Any]:
        tasks = get_all_tasks()
        for task in tasks.values():
            task.original_func = _inject(task.original_func)
        return tasks

    untyped: Any = broker
    untyped.get_all_tasks = get_injected_tasks


def _find_handlers(broker: AsyncBroker) -> list[Callable[..., Any]]:
    """Find the functions of all tasks."""
    return [task.original_func for task in broker.get_all_tasks().values()]


def _is_failure(error: BaseException) -> bool:
    """Tell whether a task failed; a task that is requeued has not."""
    return not isinstance(error, NoResultError)
