"""aiohttp: what `AdapterConformance` does not say, with aiohttp's own test client."""

import asyncio
import contextlib

import pytest
from aiohttp import ClientSession, WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request

from tests.adapters.serving import Journal, Session, open_session, until
from wares import (
    ContainerClosedError,
    Inject,
    InvalidRegistrationError,
    InvalidRegistryError,
    NoContainerError,
    NoRegistryError,
    RegistryClosedError,
    ServiceNotFoundError,
    current_container,
    inject,
)
from wares.aiohttp import (
    aclose_registry,
    get_registry,
    health_route,
    init_app,
    register_factory,
    register_value,
    wares_from,
)


@pytest.fixture
def app(journal):
    """An application with a session that notes how it ends."""
    app = init_app(web.Application())
    register_value(app, Journal, journal)
    register_factory(app, Session, open_session)
    return app


def client_of(app):
    """Serve *app*, and give a client."""
    return TestClient(TestServer(app))


async def work(request):
    """Use the session once."""
    return web.Response(text=(await wares_from(request).aget(Session)).work())


class TestResponsesThatAreRaised:
    @pytest.mark.parametrize(
        ("response", "end"),
        [
            (web.HTTPFound("/"), "commit"),
            (web.HTTPOk(), "commit"),
            (web.HTTPNotFound(), "rollback HTTPNotFound"),
            (web.HTTPServiceUnavailable(), "rollback HTTPServiceUnavailable"),
        ],
        ids=lambda value: type(value).__name__ if value is not str else value,
    )
    async def test_are_failures_from_400_on(self, app, journal, response, end):
        """A response that is raised is failed work if its status says so."""

        async def handle(request):
            (await wares_from(request).aget(Session)).work()
            raise response

        app.router.add_get("/", handle)
        async with client_of(app) as client:
            await client.get("/", allow_redirects=False)

        assert ["open", "work", end] == journal


class TestWebSockets:
    async def test_have_a_container_each_and_messages_children(self, app, journal):
        """A WebSocket has a container as long as it lasts; a message has a child of it."""

        async def chat(request):
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for message in socket:
                async with wares_from(request).child() as services:
                    session = await services.aget(Session)
                    await socket.send_str(session.work(message.data))
            return socket

        app.router.add_get("/", chat)
        async with client_of(app) as client, client.ws_connect("/") as socket:
            for text in ("one", "two"):
                await socket.send_str(text)
                assert WSMsgType.TEXT == (await socket.receive()).type

        assert ["open", "one", "commit", "open", "two", "commit"] == journal

    async def test_that_break_off_end_once(self, app, journal):
        """The container of a WebSocket whose client vanishes is closed."""

        async def chat(request):
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            (await wares_from(request).aget(Session)).work()
            async for _ in socket:
                pass
            return socket

        app.router.add_get("/", chat)
        async with client_of(app) as client:
            socket = await client.ws_connect("/")
            await until(lambda: "work" in journal)
            socket._response.connection.transport.abort()
            await until(lambda: len(journal) > 2)

        assert ["open", "work", "rollback CancelledError"] == journal


class TestMiddlewares:
    async def test_that_try_again(self, app, journal):
        """The last attempt counts, so work that succeeds in the end commits."""

        @web.middleware
        async def try_again(request, handler):
            with contextlib.suppress(LookupError):
                await handler(request)
            return await handler(request)

        async def succeed_at_last(request):
            response = await work(request)
            if journal == ["open", "work"]:
                raise LookupError
            return response

        app.middlewares.append(try_again)
        app.router.add_get("/", succeed_at_last)
        async with client_of(app) as client:
            assert 200 == (await client.get("/")).status

        assert ["open", "work", "work", "commit"] == journal


class TestSubApplications:
    async def test_share_the_container_of_the_outer_one(self, app, journal):
        """A request to a sub-application has the container of the outer application."""
        seen = []

        @web.middleware
        async def outside(request, handler):
            seen.append(wares_from(request))
            return await handler(request)

        async def inside(request):
            seen.append(wares_from(request))
            return await work(request)

        app.middlewares.append(outside)
        sub = web.Application()
        sub.router.add_get("/", inside)
        app.add_subapp("/sub/", sub)
        async with client_of(app) as client:
            assert "work" == await (await client.get("/sub/")).text()

        assert seen[0] is seen[1]
        assert ["open", "work", "commit"] == journal

    async def test_that_answer_exceptions_are_initialised_themselves(self, app, journal):
        """A sub-application on the same registry tells what its middlewares have answered."""

        @web.middleware
        async def answer(request, handler):
            try:
                return await handler(request)
            except LookupError:
                return web.Response(status=409)

        async def fail(request):
            await work(request)
            raise LookupError("no such book")

        sub = init_app(web.Application(middlewares=[answer]), registry=get_registry(app))
        sub.router.add_get("/", fail)
        app.add_subapp("/sub/", sub)
        async with client_of(app) as client:
            assert 409 == (await client.get("/sub/")).status

        assert ["open", "work", "rollback LookupError"] == journal

    async def test_with_a_registry_of_their_own(self, app):
        """A sub-application with another registry has containers of its own."""
        sub = init_app(web.Application())
        register_value(sub, str, "inner")
        register_value(app, str, "outer")

        async def tell(request):
            return web.Response(text=wares_from(request).get(str))

        @web.middleware
        async def look(request, handler):
            response = await handler(request)
            seen.append(wares_from(request).get(str))
            return response

        seen = []
        sub.router.add_get("/", tell)
        app.add_subapp("/sub/", sub)
        app.middlewares.append(look)
        async with client_of(app) as client:
            assert "inner" == await (await client.get("/sub/")).text()
        assert ["outer"] == seen


class TestStart:
    async def test_a_handler_asks_for_what_is_not_there(self, app):
        """The start fails if an injected handler asks for something that is not registered."""

        @inject
        async def handle(request, missing: Inject[complex]):
            """Never be reached."""

        app.router.add_get("/", handle)
        with pytest.raises(InvalidRegistryError) as caught:
            async with TestServer(app):
                pass

        assert [ServiceNotFoundError] == [type(error) for error in caught.value.exceptions]

    async def test_a_method_of_a_view_asks_for_what_is_not_there(self, app):
        """Methods of class-based views are handlers, too."""

        class View(web.View):
            @inject
            async def get(self, missing: Inject[complex]):
                """Never be reached."""

        app.router.add_view("/", View)
        with pytest.raises(InvalidRegistryError) as caught:
            async with TestServer(app):
                pass

        assert "complex" in str(caught.value)

    async def test_without_validation(self, journal):
        """With `validate=False`, an application starts despite mistakes."""
        app = init_app(web.Application(), validate=False)
        register_factory(app, Session, open_session)
        app.router.add_get("/", work)
        async with client_of(app) as client:
            assert 500 == (await client.get("/")).status

    async def test_cleanup_contexts_register_in_time(self, app):
        """Registrations in a cleanup context are early enough for the validation."""

        def make(number: int) -> str:
            return str(number)

        async def context(app):
            register_value(app, int, 3)
            yield

        register_factory(app, str, make)
        app.cleanup_ctx.append(context)
        async with TestServer(app):
            assert int in get_registry(app)


class TestEnd:
    async def test_registries_end_before_cleanup_contexts(self, app, journal):
        """Singletons end before cleanup contexts, because they may need them."""

        def keep():
            yield "kept"
            journal.append("singleton closed")

        async def context(app):
            register_factory(app, str, keep, lifetime="singleton")
            yield
            journal.append("context left")

        async def handle(request):
            return web.Response(text=wares_from(request).get(str))

        app.cleanup_ctx.append(context)
        app.router.add_get("/", handle)
        async with client_of(app) as client:
            await client.get("/")

        assert ["singleton closed", "context left"] == journal

    async def test_a_registry_that_fails_to_end(self, app, journal):
        """The error of a singleton keeps nothing else from ending, and is raised."""

        def keep():
            yield "kept"
            raise LookupError

        async def context(app):
            yield
            journal.append("context left")

        register_factory(app, str, keep, lifetime="singleton", eager=True)
        app.cleanup_ctx.append(context)
        server = TestServer(app)
        await server.start_server()
        with pytest.raises(LookupError):
            await server.close()

        assert ["context left"] == journal

    async def test_a_start_that_fails_early(self, app, journal):
        """A start that fails ends the singletons that a cleanup context has asked for."""

        def keep():
            yield "kept"
            journal.append("singleton closed")

        async def context(app):
            with get_registry(app).container() as container:
                container.get(str)
            yield

        register_factory(app, str, keep, lifetime="singleton")

        def need(missing: complex):
            """Never be called."""

        register_factory(app, int, need)
        app.cleanup_ctx.append(context)
        with pytest.raises(InvalidRegistryError):
            await TestServer(app).start_server()

        assert ["singleton closed"] == journal

    async def test_a_start_that_fails_later(self, app, journal):
        """A hook that fails after the eager singletons were made ends them."""

        def keep():
            yield "kept"
            journal.append("singleton closed")

        async def fail(app):
            raise LookupError

        register_factory(app, str, keep, lifetime="singleton", eager=True)
        app.on_startup.append(fail)
        runner = web.AppRunner(app)
        with pytest.raises(LookupError):
            await runner.setup()
        await runner.cleanup()

        assert ["singleton closed"] == journal

    async def test_closing_by_hand(self, app):
        """A registry can be closed early; an application without one has nothing to close."""
        await aclose_registry(app)
        await aclose_registry(web.Application())

        with pytest.raises(RegistryClosedError):
            get_registry(app).container()


class TestWhatIsMissing:
    def test_a_registry(self):
        """An application that was not initialised says how to do that."""
        with pytest.raises(NoRegistryError, match="init_app"):
            get_registry(web.Application())

    def test_a_container(self):
        """A request that did not come through the middleware says so."""
        with pytest.raises(NoContainerError, match="init_app"):
            wares_from(make_mocked_request("GET", "/"))


async def test_a_middleware_further_outside_finds_no_container(app, journal):
    """`middleware_pos` says which middlewares find the container."""
    seen = []

    @web.middleware
    async def outside(request, handler):
        with pytest.raises(NoContainerError):
            wares_from(request)
        seen.append("outside")
        return await handler(request)

    app = web.Application(middlewares=[outside])
    init_app(app, middleware_pos=1)
    register_value(app, Journal, journal)
    register_factory(app, Session, open_session)
    app.router.add_get("/", work)
    async with client_of(app) as client:
        await client.get("/")

    assert ["outside"] == seen
    assert ["open", "work", "commit"] == journal


async def test_health_by_tag(app):
    """A probe narrows the health endpoint down to a tag."""

    def fail(number):
        raise LookupError

    register_value(app, int, 3, ping=fail, tags=["slow"])
    register_value(app, str, "", ping=str, tags=["ready"])
    app.add_routes([health_route("/health")])
    async with client_of(app) as client:
        answer = await client.get("/health?tag=ready")

        assert {"ok": ["str"], "failing": []} == await answer.json()


async def test_a_handler_that_is_cancelled_cleans_up(app, journal):
    """With `handler_cancellation` on, as in aiohttp's tests, cleanups run to their end."""

    async def opened():
        journal.append("open")
        try:
            yield 1.0
        finally:
            await asyncio.sleep(0.01)
            journal.append("closed")

    async def wait(request):
        await wares_from(request).aget(float)
        await asyncio.sleep(60)

    register_factory(app, float, opened)
    app.router.add_get("/", wait)
    async with TestServer(app) as server:
        client = TestClient(server)
        asking = asyncio.create_task(client.get("/"))
        await until(lambda: journal)
        await client.close()
        await until(lambda: "closed" in journal)
        asking.cancel()
        await asyncio.wait({asking})

    assert ["open", "closed"] == journal


@contextlib.asynccontextmanager
async def serving(app):
    """Serve *app* as `web.run_app` does, where a handler outlives its client; give the address."""
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield "http://{}:{}".format(*runner.addresses[0])
    finally:
        await runner.cleanup()


class TestEdgeCases:
    async def test_a_response_that_is_returned_is_no_failure(self, app, journal):
        """A response with an error status commits if it is returned, not raised."""

        async def handle(request):
            return web.Response(
                status=409, text=(await wares_from(request).aget(Session)).work()
            )

        app.router.add_get("/", handle)
        async with client_of(app) as client:
            await client.get("/")

        assert ["open", "work", "commit"] == journal

    async def test_a_failed_commit_fails_the_request(self, app):
        """An ordinary response is sent after the services have ended, so it can still fail."""

        async def fail_at_the_end():
            yield 1.0
            raise LookupError("the commit failed")

        async def handle(request):
            return web.Response(text=str(await wares_from(request).aget(float)))

        register_factory(app, float, fail_at_the_end)
        app.router.add_get("/", handle)
        async with client_of(app) as client:
            assert 500 == (await client.get("/")).status

    async def test_a_file_is_sent_after_the_services_have_ended(self, app, journal):
        """A file needs no service; aiohttp sends it when the container is closed."""

        async def handle(request):
            await work(request)
            return web.FileResponse(__file__)

        async def note(request, response):
            journal.append("sent")

        app.router.add_get("/", handle)
        app.on_response_prepare.append(note)
        async with client_of(app) as client:
            await client.get("/")

        assert ["open", "work", "commit", "sent"] == journal

    async def test_a_handler_outlives_its_client(self, app, journal):
        """Unless aiohttp cancels handlers, one whose client has gone works to its end."""
        is_gone = asyncio.Event()

        async def handle(request):
            response = await work(request)
            await is_gone.wait()
            return response

        app.router.add_get("/", handle)
        async with serving(app) as address, ClientSession() as client:
            asking = asyncio.create_task(client.get(address))
            await until(lambda: "work" in journal)
            asking.cancel()
            await asyncio.wait({asking})
            is_gone.set()
            await until(lambda: len(journal) > 2)

        assert ["open", "work", "commit"] == journal

    async def test_writing_to_a_client_that_has_gone(self, app, journal):
        """A handler that writes a stream sees that its client has gone; so do the cleanups."""

        async def handle(request):
            response = web.StreamResponse()
            await response.prepare(request)
            await work(request)
            while True:
                await response.write(b"text")
                await asyncio.sleep(0.001)

        app.router.add_get("/", handle)
        async with serving(app) as address, ClientSession() as client:
            response = await client.get(address)
            await response.content.read(1)
            response.close()
            await until(lambda: len(journal) > 2)

        assert ["open", "work", "rollback ClientConnectionResetError"] == journal

    async def test_a_task_that_outlives_its_handler(self, app):
        """A task that goes on after the response has no services any more."""
        tasks = []

        async def handle(request):
            async def go_on():
                await until(lambda: wares_from(request).is_closed)
                with pytest.raises(ContainerClosedError):
                    await current_container().aget(Session)

            tasks.append(asyncio.create_task(go_on()))
            return web.Response()

        app.router.add_get("/", handle)
        async with client_of(app) as client:
            await client.get("/")
            await asyncio.gather(*tasks)

    async def test_a_handler_that_is_called_without_a_server(self, app):
        """A test that calls a handler itself activates a container."""

        @inject
        async def handle(request, session: Inject[Session]):
            return web.Response(text=session.work())

        request = make_mocked_request("GET", "/")
        with pytest.raises(NoContainerError):
            await handle(request)
        async with get_registry(app).container() as container:
            with container.activate():
                assert "work" == (await handle(request)).text

    async def test_an_application_that_is_started_twice(self, app):
        """The end of an application closes its registry, so it starts only once."""
        app.router.add_get("/", work)
        async with client_of(app) as client:
            assert 200 == (await client.get("/")).status
        with pytest.raises(RegistryClosedError, match="Make a new application"):
            await TestServer(app).start_server()

    async def test_an_application_that_is_initialised_twice(self, app, journal):
        """An application that is initialised again keeps its registry, and one container each."""
        init_app(app)
        app.router.add_get("/", work)
        async with client_of(app) as client:
            await client.get("/")

        assert ["open", "work", "commit"] == journal

    def test_what_is_no_application(self):
        """Nothing but an application can be initialised; the error says so."""
        with pytest.raises(InvalidRegistrationError, match=r"web\.Application, not a str"):
            init_app("x")
