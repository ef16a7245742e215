"""A container for each message of a FastStream application.

Middlewares of the brokers open and close the containers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

from wares._adapters.extras import needs_extra
from wares._adapters.injecting import inject_own
from wares._adapters.lifespan import REGISTRY_KEY, make_eager
from wares._adapters.registries import Keeping, choose_registry, demand_kind
from wares._adapters.units import Unit, check, noting
from wares._core.container import Registry
from wares._core.current import current
from wares._core.marks import find_fast_dependencies

with needs_extra("wares.faststream", "faststream"):
    from faststream import BaseMiddleware, ContextRepo, FastStream, StreamMessage
    from faststream.asgi import AsgiFastStream
    from faststream.exceptions import AckMessage, StopConsume

__all__ = ["aclose_registry", "get_registry", "init_app", "init_broker"]

Application: TypeAlias = FastStream | AsgiFastStream


@runtime_checkable
class AnyBroker(Protocol):
    """A broker of any kind; FastStream has no public name for their common class."""

    @property
    def subscribers(self) -> Sequence[Any]: ...


App = TypeVar("App", bound=Application)
Broker = TypeVar("Broker", bound=AnyBroker)

_keeping = Keeping[Application | AnyBroker](
    lambda app: getattr(app, REGISTRY_KEY, None),
    "The application has no registry. Initialise it: wares.faststream.init_app(app)",
)
get_registry = _keeping.get_registry
aclose_registry = _keeping.aclose_registry

#: Whether the registry of an application is validated as it starts.
_VALIDATES_KEY = "wares_validates"


def init_app(app: App, *, registry: Registry | None = None, validate: bool = True) -> App:
    """Give *app* a registry, and each message that its brokers receive a container.

    The registry closes after the brokers have stopped. To start an application again after it has
    ended, initialise it again, which gives it a new registry. See `init_broker` for the rest.

    Args:
        app: A `FastStream` or an `AsgiFastStream`. Brokers that are added later are initialised
            when it starts.
        registry: The registry to use. By default, the application keeps its registry, or gets a
            new one if it has none or a closed one.
        validate: Whether the start fails if a registered service cannot be made, or if a subscriber
            asks for a service that is not registered. Registrations in later ``on_startup`` hooks
            are not checked.

    Returns:
        The application.

    Raises:
        InvalidRegistrationError: *app* is no application of FastStream, or *registry* no registry.
    """
    advice = {"faststream": "For a broker alone: init_broker(broker, registry=registry)"}
    demand_kind(app, Application, "init_app takes a FastStream or an AsgiFastStream", advice)
    present = _keeping.find(app)
    registry = choose_registry(present, registry)
    setattr(app, REGISTRY_KEY, registry)
    setattr(app, _VALIDATES_KEY, validate)
    for broker in app.brokers:
        init_broker(broker, registry=registry)
    if present is None:
        app.on_startup(partial(_start, app))
        app.after_shutdown(partial(aclose_registry, app))
    return app


def init_broker(broker: Broker, *, registry: Registry) -> Broker:
    """Give each message that *broker* receives a container on *registry*.

    The container is given the `faststream.StreamMessage`, and is current
    (`wares.current_container`) in subscribers, in FastStream's dependencies, and in middlewares
    that were added before. It closes when the subscriber has returned, before the reply is
    published and the message is acknowledged. If closing fails, the message is not acknowledged.

    Subscribers ask with `wares.Inject` and `wares.Depends`, without a decorator. FastStream's own
    ``Depends`` and ``Context`` remain FastStream's.

    The cleanups see the exception that ends a subscriber, even if an ``ExceptionMiddleware`` of the
    broker answers it. ``AckMessage`` and ``StopConsume`` are no failures.

    Args:
        broker: The broker. Add its other middlewares first.
        registry: The registry to use, which the caller closes. Call this again to replace it.

    Returns:
        The broker.

    Raises:
        InvalidRegistrationError: *broker* is no broker of FastStream, or *registry* no registry.
    """
    advice = {"faststream": "For an application: init_app(app)"}
    demand_kind(broker, AnyBroker, "init_broker takes a broker of FastStream", advice)
    _keeping.prepare(broker, registry, _find_kinds(StreamMessage), _find_handlers)
    if _keeping.find(broker) is None:
        _install(broker)
    setattr(broker, REGISTRY_KEY, registry)
    return broker


class _Opening(BaseMiddleware[Any, Any]):
    """The outermost middleware, which opens the container of a message."""

    def __init__(self, broker: AnyBroker, msg: Any, /, *, context: ContextRepo) -> None:
        super().__init__(msg, context=context)
        self._registry = _keeping.get_registry(broker)

    async def consume_scope(
        self, call_next: Callable[[Any], Awaitable[Any]], msg: StreamMessage[Any]
    ) -> Any:
        given = {StreamMessage: msg, type(msg): msg}
        async with Unit(self._registry.container(given), is_failure=_is_failure):
            return await call_next(msg)


class _Noting(BaseMiddleware[Any, Any]):
    """The innermost middleware of the broker, which notes exceptions that others may answer."""

    async def consume_scope(
        self, call_next: Callable[[Any], Awaitable[Any]], msg: StreamMessage[Any]
    ) -> Any:
        container = current.get()
        if container is not None and container._given.get(StreamMessage) is msg:
            with noting(container):
                return await call_next(msg)
        return await call_next(msg)  # the answer to a `broker.request`, which has no container


def _is_failure(error: BaseException) -> bool:
    """Tell whether *error* is a failure; some exceptions only end a handler early."""
    return not isinstance(error, (AckMessage, StopConsume))


def _install(broker: Any) -> None:
    """Install the middlewares on *broker*, and have its subscribers injected when it starts.

    FastStream documents no way to inject subscribers. FastStream 0.7.0 to 0.7.8 has
    "call_decorators" for integrations. If a later version has none, users put `wares.inject` below
    ``@broker.subscriber``.
    """
    broker.insert_middleware(partial(_Opening, broker))
    broker.add_middleware(_Noting)
    config: Any = getattr(broker.config, "fd_config", None)
    if hasattr(config, "call_decorators"):
        config.call_decorators = (*config.call_decorators, inject_own)


def _find_handlers(broker: Any) -> list[Callable[..., Any]]:
    """Find the functions of the subscribers, and the dependencies that FastStream calls for them.

    FastStream documents no way to find them; checked with FastStream 0.7.0 to 0.7.8.
    """
    handlers: list[Callable[..., Any]] = []
    for subscriber in broker.subscribers:
        calls = getattr(subscriber, "calls", ())
        functions = [getattr(call.handler, "_original_call", None) for call in calls]
        handlers += map(inject_own, filter(None, functions))
        config: Any = getattr(subscriber, "_outer_config", None)
        listed = [getattr(config, "broker_dependencies", ()), *(c.dependencies for c in calls)]
        handlers += [marker.dependency for markers in listed for marker in markers]
    return find_fast_dependencies(handlers)


async def _start(app: Application, **options: Any) -> None:  # noqa: ARG001  # the command line passes them
    registry = get_registry(app)
    for broker in app.brokers:
        if _keeping.find(broker) is None:
            init_broker(broker, registry=registry)
    if getattr(app, _VALIDATES_KEY):
        handlers = [handler for broker in app.brokers for handler in _find_handlers(broker)]
        check(registry, "The application does not start", handlers)
    await make_eager(registry)


def _find_kinds(kind: Any) -> Iterator[Any]:
    """Find *kind* and its subclasses: the message classes of all brokers that are imported."""
    yield kind
    for subclass in kind.__subclasses__():
        yield from _find_kinds(subclass)
