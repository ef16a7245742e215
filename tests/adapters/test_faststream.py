"""FastStream: what `AdapterConformance` does not say, on brokers that run in memory."""

import dataclasses
import warnings
from typing import Annotated, Any
from unittest.mock import AsyncMock

import anyio
import httpx
import pytest
from fastapi import FastAPI
from faststream import (
    AckPolicy,
    BaseMiddleware,
    Context,
    Depends,
    ExceptionMiddleware,
    FastStream,
    StreamMessage,
    TestApp,
)
from faststream.asgi import AsgiFastStream
from faststream.exceptions import AckMessage, NackMessage, RejectMessage, SkipMessage
from faststream.nats import NatsBroker, NatsRouter, TestNatsBroker
from faststream.nats.annotations import NatsMessage as AnnotatedMessage
from faststream.nats.message import NatsMessage
from faststream.rabbit import RabbitBroker, TestRabbitBroker

import wares
from tests.adapters.serving import Journal, Session, open_session, open_slow_session
from wares import (
    AsyncServiceError,
    Inject,
    InvalidRegistrationError,
    InvalidRegistryError,
    NoContainerError,
    NoRegistryError,
    Registry,
    RegistryClosedError,
    current_container,
)
from wares.asgi import health_app
from wares.faststream import aclose_registry, get_registry, init_app, init_broker


@dataclasses.dataclass
class Settings:
    """A service that a message could hold."""

    token: str = "secret"


@pytest.fixture
async def registry(journal):
    """A registry with a session that notes how it ends."""
    registry = Registry()
    registry.register_value(Journal, journal)
    registry.register_factory(Session, open_session)
    yield registry
    await registry.aclose()


@pytest.fixture
def broker(registry):
    """A broker whose messages have containers."""
    return init_broker(NatsBroker(), registry=registry)


class TestAsking:
    async def test_without_a_decorator(self, broker, journal):
        """A subscriber asks by `Inject`; the other parameter is the body of the message."""

        @broker.subscriber("work")
        async def handle(text: str, session: Inject[Session]):
            session.work(text)

        async with TestNatsBroker(broker):
            await broker.publish("one", "work")

        assert ["open", "one", "commit"] == journal

    async def test_several_fields_beside_services(self, broker, journal):
        """Parameters that are not injected are fields of the message, validated."""

        @broker.subscriber("work")
        async def handle(text: str, number: int, session: Inject[Session]):
            session.work(f"{text} {number + 1}")

        async with TestNatsBroker(broker):
            await broker.publish({"text": "one", "number": "1"}, "work")

        assert ["open", "one 2", "commit"] == journal

    async def test_in_a_synchronous_subscriber(self, broker, registry):
        """A synchronous subscriber, which runs in a thread, has the same container."""
        registry.register_value(int, 3)
        seen = []

        @broker.subscriber("work")
        def handle(text: str, number: Inject[int]):
            seen.append((text, number, current_container().get(int)))

        async with TestNatsBroker(broker):
            await broker.publish("one", "work")

        assert [("one", 3, 3)] == seen

    async def test_in_a_router(self, broker, journal):
        """Subscribers of routers are injected like those of the broker."""
        router = NatsRouter(prefix="shop.")

        @router.subscriber("work")
        async def handle(text: str, session: Inject[Session]):
            session.work(text)

        broker.include_router(router)
        async with TestNatsBroker(broker):
            await broker.publish("one", "shop.work")

        assert ["open", "one", "commit"] == journal

    async def test_beside_what_faststream_has(self, broker, journal):
        """FastStream's own `Depends` and `Context` stay FastStream's, in both notations."""

        def subject(message: Any = Context("message.raw_message.subject")) -> str:
            return message

        @broker.subscriber("work")
        async def handle(
            text: str,
            session: Inject[Session],
            where: Annotated[str, Depends(subject)],
            again: str = Depends(subject),
            *,
            message: AnnotatedMessage,
        ):
            session.work(f"{text} {where} {again} {type(message).__name__}")

        async with TestNatsBroker(broker):
            await broker.publish("one", "work")

        assert ["open", "one work work NatsMessage", "commit"] == journal

    async def test_by_depends_of_wares(self, broker, journal):
        """`wares.Depends` calls a dependency, which may need services."""

        def shout(session: Inject[Session]) -> str:
            return session.work("shout")

        @broker.subscriber("work")
        async def handle(text: str, word: Annotated[str, wares.Depends(shout)]):
            journal.append(f"{text} {word}")

        async with TestNatsBroker(broker):
            await broker.publish("one", "work")

        assert ["open", "shout", "one shout", "commit"] == journal

    async def test_faststreams_dependencies_see_the_container(self, registry, journal):
        """Dependencies of brokers, routers and subscribers find the current container."""

        def look(level: str) -> Any:
            async def depend():
                (await current_container().aget(Session)).work(level)

            return Depends(depend)

        broker = init_broker(NatsBroker(dependencies=[look("broker")]), registry=registry)
        router = NatsRouter(dependencies=[look("router")])

        @router.subscriber("work", dependencies=[look("subscriber")])
        async def handle(text: str):
            journal.append(text)

        broker.include_router(router)
        async with TestNatsBroker(broker):
            await broker.publish("one", "work")

        assert ["open", "broker", "router", "subscriber", "one", "commit"] == journal

    async def test_for_the_message(self, broker, registry):
        """A factory may need the message, by its general or its broker's own class."""

        def describe(message: NatsMessage, same: StreamMessage) -> str:
            return f"{message.raw_message.subject} {message is same}"

        registry.register_factory(str, describe)
        seen = []

        @broker.subscriber("work")
        async def handle(body: int, text: Inject[str]):
            seen.append(text)

        registry.validate()
        async with TestNatsBroker(broker):
            await broker.publish(1, "work")

        assert ["work True"] == seen


class TestWhatFastStreamsPageOnDependenciesPromises:
    """The promises of https://faststream.ag2.ai/latest/getting-started/dependencies/, in wares."""

    @pytest.fixture
    def ask(self, registry):
        """Have a subscriber answer a message; the broker is made with options."""

        async def ask(subscribe, body, **options):
            broker = init_broker(NatsBroker(**options), registry=registry)
            subscribe(broker.subscriber("work"))
            async with TestNatsBroker(broker):
                answer = await broker.request(body, "work")
            return await answer.decode()

        return ask

    @pytest.mark.parametrize("options", [{"apply_types": False}, {"serializer": None}])
    async def test_without_type_casting(self, registry, ask, options):
        """A broker that neither casts nor fills FastStream's markers still injects services."""
        registry.register_value(int, 3)

        def subscribe(subscriber):
            @subscriber
            async def handle(number: float, three: Inject[int]):
                return f"{number!r} {three}"

        assert "'5' 3" == await ask(subscribe, "5", **options)

    async def test_in_both_notations(self, ask):
        """A dependency is marked in the annotation, or by the default."""

        def give() -> int:
            return 1

        def subscribe(subscriber):
            @subscriber
            async def handle(
                body: dict,
                first: Annotated[int, wares.Depends(give)],
                second: int = wares.Depends(give),
            ):
                return first + second

        assert 2 == await ask(subscribe, {})

    async def test_any_callable(self, ask):
        """A dependency is a function, asynchronous or not, a generator, a class, or a method."""

        async def wait() -> int:
            return 1

        def open_it():
            yield 2

        class Three:
            value = 3

            def four(self) -> int:
                return 4

        def subscribe(subscriber):
            @subscriber
            async def handle(
                body: dict,
                one: int = wares.Depends(wait),
                two: int = wares.Depends(open_it),
                three: Three = wares.Depends(Three),
                four: int = wares.Depends(Three().four),
            ):
                return [one, two, three.value, four]

        assert [1, 2, 3, 4] == await ask(subscribe, {})

    async def test_takes_fields_of_the_message(self, ask):
        """A parameter that only a dependency has is a field of the message."""

        async def find(user_id: int) -> str:
            return f"user {user_id + 1}"

        def subscribe(subscriber):
            @subscriber
            async def handle(user: str, found: str = wares.Depends(find)):
                return f"{user}, {found}"

        assert "Ada, user 2" == await ask(subscribe, {"user": "Ada", "user_id": "1"})

    async def test_for_its_effect(self, registry, journal):
        """A dependency without a used result is a parameter, or is listed, at any level."""

        def note(level):
            @wares.inject
            async def check(session: Inject[Session]):
                session.work(level)

            return wares.Depends(check)

        broker = init_broker(NatsBroker(dependencies=[note("broker")]), registry=registry)
        router = NatsRouter(dependencies=[note("router")])

        @router.subscriber("work", dependencies=[note("subscriber")])
        async def handle(text: str, _=note("parameter")):
            journal.append(text)

        broker.include_router(router)
        async with TestNatsBroker(broker):
            await broker.publish("one", "work")

        levels = ["broker", "router", "subscriber", "parameter"]
        assert ["open", *levels, "one", "commit"] == journal

    async def test_nested_ones_are_called_once(self, ask):
        """Nested dependencies are called once, unless the marker asks for a fresh result."""
        calls = []

        def another() -> int:
            calls.append("another")
            return len(calls)

        def simple(b: int = wares.Depends(another)) -> int:
            return b * 2

        def subscribe(subscriber):
            @subscriber
            async def handle(
                body: dict,
                a: int = wares.Depends(another),
                b: int = wares.Depends(simple),
                fresh: int = wares.Depends(another, use_cache=False),
            ):
                return [a, b, fresh]

        assert [1, 2, 2] == await ask(subscribe, {})

    def test_with_regular_functions(self):
        """`apply_types` casts the arguments of any function, and results of dependencies."""

        def simple(a: int, b: int = 3) -> float:
            return a + b  # cast to a float, and then to an int again

        @wares.apply_types
        def method(a: int, d: int = wares.Depends(simple)):
            return a + d

        assert 5 == method("1")

    async def test_with_asynchronous_functions(self):
        """In an asynchronous function, dependencies of both kinds are called."""

        async def simple(a: int, b: int = 3) -> int:
            return a + b

        def another(a: int) -> int:
            return a

        @wares.apply_types
        async def method(
            a: int, b: int = wares.Depends(simple), c: int = wares.Depends(another)
        ):
            return a + b + c

        assert 6 == await method(1)

    def test_only_synchronous_ones_in_synchronous_functions(self):
        """An asynchronous dependency of a synchronous function is refused at once."""

        async def simple() -> int: ...

        with pytest.raises(AsyncServiceError):

            @wares.apply_types
            def method(a: int = wares.Depends(simple)): ...


async def test_what_faststream_calls_asks_for_what_is_not_there(registry):
    """The start validates what FastStream's own dependencies ask for, nested and listed ones."""

    @wares.inject
    async def nested(missing: Inject[complex]): ...

    async def outer(inner: Annotated[None, Depends(nested)]): ...

    @wares.inject
    async def listed(missing: Inject[bytes]): ...

    broker = NatsBroker(dependencies=[Depends(listed)])
    app = init_app(FastStream(broker), registry=registry)

    @broker.subscriber("work")
    async def handle(text: str, inner: Annotated[None, Depends(outer)]): ...

    @broker.subscriber("more")
    async def handle_more(text: str): ...

    async with TestNatsBroker(broker, connect_only=True):
        with pytest.raises(InvalidRegistryError) as caught:
            await app.start()

    assert {complex, bytes} == {problem.key for problem in caught.value.exceptions}


async def test_what_faststream_calls_is_not_injected(registry):
    """The start refuses a dependency of FastStream that asks by our markers and is not injected."""

    async def check(number: Inject[int]): ...

    broker = NatsBroker()
    app = init_app(FastStream(broker), registry=registry)

    @broker.subscriber("work", dependencies=[wares.Depends(check)])
    async def handle(text: str): ...

    async with TestNatsBroker(broker, connect_only=True):
        with pytest.raises(InvalidRegistryError) as caught:
            await app.start()

    (problem,) = caught.value.exceptions
    assert "number" == problem.parameter


async def test_cancelled_by_a_scope(journal):
    """A cancel scope around a message does not interrupt its cleanups."""
    registry = Registry()
    registry.register_value(Journal, journal)
    registry.register_factory(Session, open_slow_session)
    broker = init_broker(NatsBroker(), registry=registry)

    @broker.subscriber("work")
    async def handle(text: str, session: Inject[Session]):
        session.work(text)
        scope.cancel()
        await anyio.sleep(10)

    async with TestNatsBroker(broker):
        with anyio.CancelScope() as scope:
            await broker.publish("one", "work")

    assert ["one", "rollback CancelledError"] == journal


class TestOrder:
    async def test_a_failed_commit(self, registry, journal):
        """If closing fails, no reply is published, and the message is not acknowledged."""

        async def fail_at_the_end(journal: Journal):
            yield 1.0
            raise LookupError("the commit failed")

        class Watch(BaseMiddleware):
            async def consume_scope(self, call_next, msg):
                for name in ("ack", "nack"):
                    note = AsyncMock(side_effect=lambda name=name: journal.append(name))
                    setattr(msg, name, note)
                return await call_next(msg)

        registry.register_factory(float, fail_at_the_end)
        broker = init_broker(RabbitBroker(middlewares=[Watch]), registry=registry)

        @broker.subscriber("work", ack_policy=AckPolicy.NACK_ON_ERROR)
        @broker.publisher("replies")
        async def handle(text: str, number: Inject[float]) -> str:
            return text

        @broker.subscriber("replies")
        async def read(text: str):
            journal.append("reply")

        async with TestRabbitBroker(broker):
            with pytest.raises((LookupError, ExceptionGroup)):
                await broker.publish("one", "work")

        assert ["nack"] == journal

    async def test_a_request_is_answered(self, broker, journal):
        """`broker.request` gets the reply of a subscriber."""

        @broker.subscriber("work")
        async def handle(text: str, session: Inject[Session]) -> str:
            return session.work(text)

        async with TestNatsBroker(broker):
            answer = await broker.request("one", "work")

        assert "one" == await answer.decode()
        assert ["open", "one", "commit"] == journal

    async def test_a_filtered_message_has_one_container(self, broker, journal):
        """Only the handler that the filter chooses has a container."""
        subscriber = broker.subscriber("work")

        @subscriber(filter=lambda message: message.content_type == "application/json")
        async def handle_json(body: dict, session: Inject[Session]):
            session.work("json")

        @subscriber
        async def handle(text: str, session: Inject[Session]):
            session.work(text)

        async with TestNatsBroker(broker):
            await broker.publish("text", "work")
            await broker.publish({"number": 1}, "work")

        assert ["open", "text", "commit", "open", "json", "commit"] == journal


class TestFailures:
    @pytest.mark.parametrize(
        ("error", "end"),
        [
            (AckMessage(), "commit"),
            (NackMessage(), "rollback NackMessage"),
            (RejectMessage(), "rollback RejectMessage"),
            (SkipMessage(), "rollback SkipMessage"),
        ],
        ids=lambda value: type(value).__name__,
    )
    async def test_of_faststreams_own(self, broker, journal, error, end):
        """Only a message that is acknowledged early is no failure."""

        @broker.subscriber("work")
        async def handle(text: str, session: Inject[Session]):
            session.work(text)
            raise error

        async with TestNatsBroker(broker):
            await broker.publish("one", "work")

        assert ["open", "one", end] == journal


class TestApplications:
    async def test_have_a_registry(self, journal, registry):
        """An application has a registry, which its end closes."""
        app = init_app(FastStream(NatsBroker()))

        async with TestNatsBroker(app.broker, connect_only=True):
            await app.start()
            opened = get_registry(app).container()
            await app.stop()

        await opened.aclose()
        with pytest.raises(RegistryClosedError):
            get_registry(app).container()

    async def test_do_not_start_if_a_subscriber_asks_for_what_is_not_there(self, registry):
        """The start validates what subscribers ask for."""
        broker = NatsBroker()
        app = init_app(FastStream(broker), registry=registry)

        @broker.subscriber("work")
        async def handle(text: str, missing: Inject[complex]):
            """Never be reached."""

        async with TestNatsBroker(broker, connect_only=True):
            with pytest.raises(InvalidRegistryError) as caught:
                await app.start()

        assert "complex" in str(caught.value)

    async def test_may_start_with_mistakes(self, registry):
        """Without validation they start."""
        broker = NatsBroker()
        app = init_app(FastStream(broker), registry=registry, validate=False)

        @broker.subscriber("work")
        async def handle(text: str, missing: Inject[complex]):
            """Never be reached."""

        async with TestNatsBroker(broker, connect_only=True):
            await app.start()
            await app.stop()

    async def test_of_asgi_tell_their_health(self):
        """`wares.asgi.health_app` is a route of an AsgiFastStream."""
        registry = Registry()
        registry.register_value(int, 3, ping=float)
        app = AsgiFastStream(NatsBroker(), asgi_routes=[("/healthy", health_app(registry))])
        init_app(app, registry=registry)

        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            assert {"ok": ["int"], "failing": []} == (await client.get("/healthy")).json()
        await aclose_registry(app)

    async def test_hide_services_from_asyncapi(self, registry):
        """Injected parameters are no part of a message in the AsyncAPI document."""
        broker = NatsBroker()
        app = init_app(FastStream(broker), registry=registry)

        @broker.subscriber("work")
        async def handle(number: int, session: Inject[Session]):
            """Never be reached."""

        text = app.schema.to_specification().to_json()

        assert "Session" not in text.replace("wares", "")
        assert '"integer"' in text

    def test_without_a_registry(self):
        """An application that was not initialised says how to do that."""
        with pytest.raises(NoRegistryError, match="init_app"):
            get_registry(FastStream(NatsBroker()))


class TestWithoutTheInternalHook:
    async def test_subscribers_are_not_seen(self, registry, monkeypatch):
        """If the functions of subscribers cannot be found, the start checks the rest."""
        broker = NatsBroker()
        app = init_app(FastStream(broker), registry=registry)

        def look(thing, name, *default):
            return default[0] if name == "calls" else getattr(thing, name, *default)

        monkeypatch.setattr("wares.faststream.getattr", look, raising=False)

        @broker.subscriber("work")
        async def handle(text: str, missing: Inject[complex]):
            """Never be reached."""

        async with TestNatsBroker(broker, connect_only=True):
            await app.start()
            await app.stop()

    async def test_subscribers_are_decorated(self, registry, journal, monkeypatch):
        """If FastStream has no hook for integrations, subscribers use `inject`."""
        broker = NatsBroker()
        monkeypatch.setattr("wares.faststream.hasattr", lambda *_: False, raising=False)
        init_broker(broker, registry=registry)

        @broker.subscriber("work")
        @wares.inject
        async def handle(text: str, session: Inject[Session]):
            session.work(text)

        async with TestNatsBroker(broker):
            await broker.publish("one", "work")

        assert ["open", "one", "commit"] == journal


class TestEdgeCases:
    async def test_the_handler_of_an_error(self, registry, journal):
        """The handler of an `ExceptionMiddleware` still has the container, which rolls back."""
        middleware = ExceptionMiddleware()

        @middleware.add_handler(LookupError, publish=True)
        async def answer(error):
            return (await current_container().aget(Session)).work("sorry")

        broker = init_broker(NatsBroker(middlewares=[middleware]), registry=registry)

        @broker.subscriber("work")
        async def handle(text: str, session: Inject[Session]):
            raise LookupError("no such book")

        async with TestNatsBroker(broker):
            assert "sorry" == await (await broker.request("one", "work")).decode()

        assert ["open", "sorry", "rollback LookupError"] == journal

    async def test_a_reply_that_cannot_be_published(self, registry, journal):
        """The services have ended before a reply is published: they have committed."""

        class Failing(BaseMiddleware):
            async def publish_scope(self, call_next, cmd):
                if cmd.destination == "replies":
                    raise LookupError("no connection")
                return await call_next(cmd)

        broker = init_broker(NatsBroker(middlewares=[Failing]), registry=registry)

        @broker.subscriber("work")
        @broker.publisher("replies")
        async def handle(text: str, session: Inject[Session]) -> str:
            return session.work(text)

        async with TestNatsBroker(broker):
            with pytest.raises(LookupError):
                await broker.publish("one", "work")

        assert ["open", "one", "commit"] == journal

    async def test_a_message_that_does_not_fit(self, broker, journal):
        """A body that cannot be read is an error before any service is made."""

        @broker.subscriber("work")
        async def handle(number: int, session: Inject[Session]):
            """Never be reached."""

        async with TestNatsBroker(broker):
            with pytest.raises(ValueError, match="number"):
                await broker.publish("one", "work")

        assert [] == journal

    async def test_a_message_within_a_message(self, broker, journal):
        """A message that a subscriber publishes has a container of its own."""

        @broker.subscriber("outer")
        async def outer(text: str, session: Inject[Session]):
            await broker.publish("inner", "inner")
            session.work(text)

        @broker.subscriber("inner")
        async def inner(text: str, session: Inject[Session]):
            session.work(text)

        async with TestNatsBroker(broker):
            await broker.publish("outer", "outer")

        assert ["open", "open", "inner", "commit", "outer", "commit"] == journal

    async def test_calling_a_subscriber(self, broker, registry):
        """A test that calls a subscriber activates a container; mocks see no services."""

        @broker.subscriber("work")
        async def handle(text: str, session: Inject[Session]):
            return session.work(text)

        async with TestNatsBroker(broker):
            await broker.publish("one", "work")
            handle.mock.assert_called_once_with("one")
            with pytest.raises(NoContainerError):
                await handle("two")
            async with registry.container() as container:
                with container.activate():
                    assert "two" == await handle("two")

    async def test_a_dependency_of_faststream_asks(self, registry, journal):
        """A function for FastStream's `Depends` asks by `inject`."""

        async def depend(session: Inject[Session]):
            return session.work("depend")

        broker = init_broker(NatsBroker(), registry=registry)

        @broker.subscriber("work")
        async def handle(text: str, found: Annotated[str, Depends(wares.inject(depend))]):
            journal.append(found)

        async with TestNatsBroker(broker):
            await broker.publish("one", "work")

        assert ["open", "depend", "depend", "commit"] == journal

    @pytest.mark.parametrize("level", ["parameter", "subscriber"])
    async def test_a_dependency_that_nobody_injects(self, registry, level):
        """Without `inject` it would read its service from the message, so nothing starts."""

        async def depend(session: Inject[Session]):
            """Never be reached."""

        broker = NatsBroker()
        app = init_app(FastStream(broker), registry=registry)
        if level == "parameter":

            @broker.subscriber("work")
            async def handle(text: str, found: Annotated[str, Depends(depend)]):
                """Never be reached."""

        else:

            @broker.subscriber("work", dependencies=[Depends(depend)])
            async def handle(text: str):
                """Never be reached."""

        async with TestNatsBroker(broker, connect_only=True):
            with pytest.raises(InvalidRegistryError) as caught:
                await app.start()

        assert "not injected" in str(caught.value)

    @pytest.mark.parametrize("is_initialised", [False, True])
    async def test_a_message_fills_no_marker(self, registry, is_initialised):
        """A broker does not start that is not initialised, or whose start is not checked."""

        def depend(settings: Inject[Settings]):
            """Never be reached."""

        broker = NatsBroker()
        if is_initialised:
            init_broker(broker, registry=registry)

        @broker.subscriber("work", dependencies=[Depends(depend)] if is_initialised else ())
        async def handle(settings: Inject[Settings]):
            """Never be reached."""

        with pytest.raises(InvalidRegistrationError, match="asks for Settings, for 'settings'"):
            async with TestNatsBroker(broker):
                """Never be reached."""

    async def test_an_asynchronous_service_in_a_synchronous_subscriber(self, broker):
        """A subscriber that runs in a thread cannot await its services."""

        @broker.subscriber("work")
        def handle(text: str, session: Inject[Session]):
            """Never be reached."""

        async with TestNatsBroker(broker):
            with pytest.raises(AsyncServiceError):
                await broker.publish("one", "work")

    async def test_other_hooks_of_middlewares(self, registry):
        """`on_receive` and `after_processed` run outside of the container."""
        seen = []

        class Watch(BaseMiddleware):
            async def on_receive(self):
                with pytest.raises(NoContainerError):
                    current_container()
                seen.append("before")

            async def after_processed(self, *error):
                with pytest.raises(NoContainerError):
                    current_container()
                seen.append("after")

        broker = init_broker(NatsBroker(middlewares=[Watch]), registry=registry)

        @broker.subscriber("work")
        async def handle(text: str):
            seen.append(text)

        async with TestNatsBroker(broker):
            await broker.publish("one", "work")

        assert ["before", "one", "after"] == seen

    async def test_an_application_that_is_started_twice(self):
        """The end of an application closes its registry; the next start says so, once."""
        broker = NatsBroker()
        app = init_app(FastStream(broker))
        async with TestNatsBroker(broker, connect_only=True), TestApp(app):
            pass
        with pytest.raises(RegistryClosedError, match="initialise this one again"):
            async with TestNatsBroker(broker, connect_only=True), TestApp(app):
                pass

    async def test_an_application_that_is_initialised_for_each_start(self):
        """An application that has ended is initialised again, and starts with a new registry."""
        broker = NatsBroker()
        app = FastStream(broker)
        seen = []

        @broker.subscriber("work")
        async def handle(text: str, number: Inject[int]):
            seen.append(f"{text} {number}")

        for number in (1, 2):
            get_registry(init_app(app)).register_value(int, number)
            async with TestNatsBroker(broker, connect_only=True), TestApp(app):
                await broker.publish("one", "work")

        assert ["one 1", "one 2"] == seen

    async def test_an_application_that_is_initialised_twice(self):
        """An application that is initialised again keeps its registry, and one container each."""
        broker = NatsBroker()
        app = init_app(FastStream(broker))
        get_registry(app).register_factory(list, list)
        init_app(app)
        seen = []

        @broker.subscriber("work")
        async def handle(items: Inject[list[Any]], kept: Inject[list]):
            seen.append(current_container().get(list) is kept)

        async with TestNatsBroker(broker, connect_only=True), TestApp(app):
            await broker.publish("one", "work")

        assert [True] == seen

    async def test_a_registry_that_replaces_another(self, registry):
        """An application that is initialised with another registry uses it from then on."""
        broker = NatsBroker()
        app = init_app(FastStream(broker))
        init_app(app, registry=registry, validate=False)
        registry.register_value(int, 5)
        seen = []

        @broker.subscriber("work")
        async def handle(text: str, number: Inject[int]):
            seen.append(number)

        async with TestNatsBroker(broker, connect_only=True), TestApp(app):
            await broker.publish("one", "work")

        assert [5] == seen

    async def test_a_broker_that_is_added_later(self, registry, journal):
        """A broker that is added after `init_app` is initialised as the application starts."""
        app = init_app(FastStream(), registry=registry)
        broker = NatsBroker()

        @broker.subscriber("work")
        async def handle(text: str, session: Inject[Session]):
            session.work(text)

        app.add_broker(broker)
        async with TestNatsBroker(broker, connect_only=True), TestApp(app):
            await broker.publish("one", "work")

        assert ["open", "one", "commit"] == journal

    def test_what_is_no_application(self, registry):
        """The error for a wrong object says which function to use instead."""
        with pytest.raises(InvalidRegistrationError, match=r"not a NatsBroker.*init_broker"):
            init_app(NatsBroker())
        with pytest.raises(InvalidRegistrationError, match=r"not a FastStream.*init_app"):
            init_broker(FastStream(), registry=registry)


# FastStream's router asks so, which Python 3.14 deprecates.
@pytest.mark.filterwarnings("ignore:'asyncio.iscoroutinefunction':DeprecationWarning")
class TestInFastAPI:
    """FastStream's router for FastAPI, whose subscribers FastAPI calls."""

    @staticmethod
    def make_router():
        with warnings.catch_warnings():
            # New versions deprecate it, in favour of a package of its own.
            warnings.simplefilter("ignore", DeprecationWarning)
            from faststream.nats.fastapi import NatsRouter
        return NatsRouter()

    async def serve(self, router, start):
        """Send a message to an application with the router."""
        app = FastAPI(lifespan=start)
        app.include_router(router)
        async with TestNatsBroker(router.broker), app.router.lifespan_context(app):
            await router.broker.publish("work", "work")

    async def test_with_one_registry(self, registry, journal):
        """The broker is initialised with the registry of the application."""
        router = self.make_router()
        init_broker(router.broker, registry=registry)

        @router.subscriber("work")
        async def handle(text: str, session: Inject[Session]):
            session.work(text)

        async def start(app, registry):
            yield

        await self.serve(router, wares.fastapi.lifespan(start, registry=registry))

        assert ["open", "work", "commit"] == journal

    async def test_that_is_not_initialised(self):
        """The error says how."""
        router = self.make_router()

        @router.subscriber("work")
        async def handle(text: str, session: Inject[Session]): ...

        @wares.fastapi.lifespan
        async def start(app, registry):
            registry.register_value(Journal, Journal())
            registry.register_factory(Session, open_session)
            yield

        with pytest.raises(NoContainerError, match="With FastStream's router"):
            await self.serve(router, start)
