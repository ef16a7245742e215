"""FastAPI: services as dependencies, by the way that FastAPI documents and by the shortcut.

Every rule holds on both ways: the `way_in` fixture takes each test along each of them.
"""

import asyncio
import contextlib
import functools
import gc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, Generic, TypeVar
from unittest.mock import Mock

import anyio
import fastapi.routing
import httpx
import pytest
import websockets
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Request,
    Response,
    Security,
    WebSocket,
    WebSocketException,
)
from fastapi.exceptions import DependencyScopeError, RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.security import HTTPBearer, SecurityScopes
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketDisconnect

import wares
from tests.adapters.serving import (
    Journal,
    Session,
    TestClient,
    client_of,
    hang_up,
    make_scope,
    open_session,
    serve,
    started,
    until,
)
from wares import (
    Container,
    InvalidOptionError,
    InvalidRegistrationError,
    InvalidRegistryError,
    NoRegistryError,
    Registry,
    ServiceNotFoundError,
    current_container,
)
from wares.fastapi import (
    DepContainer,
    DepFunctionContainer,
    DepRegistry,
    FunctionInject,
    GetService,
    Inject,
    _routes,
    container,
    function_container,
    get_registry,
    lifespan,
    registry,
)
from wares.fastapi._routes import Dependencies, find_dependants
from wares.fastapi._trial import Trial
from wares.starlette import WaresMiddleware, wares_from


class Nothing:
    """A key."""


class Remembered:
    """Another key."""


@pytest.fixture(params=[False, True], ids=["documented", "shortcut"], autouse=True)
def way_in(request, monkeypatch):
    """How endpoints get their services: FastAPI solves them, or the shortcut fetches them."""
    monkeypatch.setattr(Trial, "is_passed", None if request.param else False)
    return request.param


@pytest.fixture
def register(journal):
    """A lifespan function that registers a session."""

    async def register(app: FastAPI, registry: Registry) -> AsyncIterator[None]:
        registry.register_value(Journal, journal)
        registry.register_factory(Session, open_session)
        yield

    return register


@pytest.fixture
def start(register):
    """A lifespan that registers a session."""
    return lifespan(register)


@pytest.fixture
def app(start):
    """An application without routes."""
    return FastAPI(lifespan=start)


class TestContainer:
    async def test_is_open_until_the_response_is_sent(self, app, journal):
        """`DepContainer` is the request's container; its services end with the request."""

        @app.get("/")
        async def view(services: DepContainer):
            return (await services.aget(Session)).work()

        async with client_of(app) as client:
            response = await client.get("/")

        assert "work" == response.json()
        assert ["open", "work", "commit"] == journal

    async def test_in_a_synchronous_endpoint(self, app, start, journal):
        """A `def` endpoint, which runs in a thread, has its container, and it is current."""

        @app.get("/")
        def view(services: DepContainer):
            return [services.get(int), current_container() is services]

        start.registry.register_value(int, 5)
        async with client_of(app) as client:
            response = await client.get("/")

        assert [5, True] == response.json()

    async def test_is_the_current_one(self, app):
        """The request's container is current in the endpoint, and afterwards it is not."""

        @app.get("/")
        async def view(services: DepContainer):
            return current_container() is services

        async with client_of(app) as client:
            response = await client.get("/")

            assert response.json() is True
            with pytest.raises(wares.NoContainerError):
                current_container()

    async def test_is_the_current_one_of_a_synchronous_dependency(self, app, start):
        """A `def` dependency may activate a container, though FastAPI leaves it elsewhere."""
        activated = []

        def activate(services: DepContainer):
            with services.child().activate() as child:
                activated.append(child)
                yield child

        @app.get("/")
        async def view(child: Annotated[Container, Depends(activate)], number: Inject[int]):
            return number

        start.registry.register_value(int, 5)
        async with client_of(app) as client:
            numbers = [(await client.get("/")).json() for _ in range(2)]

        assert [5, 5] == numbers
        assert 2 == len(set(activated))

    async def test_is_one_for_each_request(self, app):
        """All that a request asks for comes from one container, and each request has its own."""
        seen = []

        async def deep(services: DepContainer):
            return services

        async def uncached(services: Annotated[Container, Depends(container, use_cache=False)]):
            return services

        @app.get("/")
        async def view(
            request: Request,
            services: DepContainer,
            of_deep: Annotated[Container, Depends(deep)],
            of_uncached: Annotated[Container, Depends(uncached)],
            injected: Inject[Container],
        ):
            seen.append({services, of_deep, of_uncached, injected, wares_from(request)})

        async with client_of(app) as client:
            await asyncio.gather(client.get("/"), client.get("/"))

        assert [1, 1] == [len(containers) for containers in seen]
        assert seen[0].isdisjoint(seen[1])

    async def test_is_shared_with_the_middleware(self, app, journal):
        """With the middleware installed, dependencies use its container."""
        app.add_middleware(WaresMiddleware)

        @app.get("/")
        async def view(request: Request, session: Inject[Session], services: DepContainer):
            session.work()
            return services is wares_from(request)

        async with client_of(app) as client:
            response = await client.get("/")

        assert response.json() is True
        assert ["open", "work", "commit"] == journal

    async def test_of_a_mounted_application(self, app, journal):
        """An application within the application uses the registry of the outer one."""
        inner = FastAPI()
        app.mount("/inner", inner)

        @inner.get("/work")
        async def view(session: Inject[Session]):
            return session.work()

        async with client_of(app) as client:
            await client.get("/inner/work")

        assert ["open", "work", "commit"] == journal

    async def test_without_a_lifespan(self, app):
        """An application that was not started says how to start it (behaviour 11)."""

        @app.get("/")
        async def view(services: DepContainer): ...

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            with pytest.raises(NoRegistryError, match="lifespan"):
                await client.get("http://test/")

    async def test_after_the_application_has_ended(self, app):
        """An application that has ended has no registry any more (behaviour 11)."""

        @app.get("/")
        async def view(services: DepContainer): ...

        async with client_of(app):
            pass
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            with pytest.raises(NoRegistryError):
                await client.get("http://test/")

    @pytest.mark.parametrize(
        "surrounding", [contextlib.nullcontext, anyio.CancelScope], ids=["plain", "in a scope"]
    )
    async def test_leaves_nothing_behind(self, app, surrounding):
        """A request's container is gone with the request; no garbage collector is needed."""
        containers = []

        @app.get("/")
        async def view(services: DepContainer):
            containers.append(weakref.ref(services))

        async with started(app) as state:
            gc.disable()
            try:
                with surrounding():
                    await app(make_scope(state), asyncio.Queue().get, asyncio.Queue().put)
                is_gone = containers[0]() is None
            finally:
                gc.enable()

        assert is_gone


class TestInject:
    async def test_in_an_endpoint(self, app, journal):
        """`Inject[T]` is the service `T` of the request."""

        @app.get("/")
        async def view(session: Inject[Session]):
            return session.work()

        async with client_of(app) as client:
            response = await client.get("/")

        assert "work" == response.json()
        assert ["open", "work", "commit"] == journal

    async def test_in_a_synchronous_endpoint(self, app, journal):
        """A `def` endpoint gets services too, also those that have to be awaited."""

        @app.get("/")
        def view(session: Inject[Session], number: int = 3):
            return [session.work(), number]

        async with client_of(app) as client:
            response = await client.get("/", params={"number": 4})

        assert ["work", 4] == response.json()
        assert ["open", "work", "commit"] == journal

    async def test_in_dependencies_of_any_depth(self, app, journal):
        """Dependencies of FastAPI get services, however deep, from the same container."""

        def shallow(session: Inject[Session]):
            return session

        class Deep:
            def __init__(self, of_shallow: Annotated[Session, Depends(shallow)]):
                self.session = of_shallow

        async def deeper(deep: Annotated[Deep, Depends()], session: Inject[Session]):
            yield deep.session is session

        @app.get("/")
        async def view(
            is_same: Annotated[bool, Depends(deeper)],
            session: Inject[Session],
            of_shallow: Annotated[Session, Depends(shallow)],
        ):
            return [is_same, session is of_shallow]

        async with client_of(app) as client:
            response = await client.get("/")

        assert [True, True] == response.json()
        assert ["open", "commit"] == journal

    async def test_of_several_services(self, app, start):
        """An endpoint takes any number of services, next to FastAPI's own parameters."""

        @app.get("/{path}")
        async def view(
            path: str,
            number: Inject[int],
            text: Inject[Annotated[str, "greeting"]],
            response: Response,
            colour: Annotated[str, Header()],
            query: int = 0,
        ):
            response.headers["x-colour"] = colour
            return [path, number, text, query]

        start.registry.register_value(int, 5)
        start.registry.register_value(Annotated[str, "greeting"], "hello")
        async with client_of(app) as client:
            response = await client.get("/a", params={"query": 7}, headers={"colour": "blue"})

        assert ["a", 5, "hello", 7] == response.json()
        assert "blue" == response.headers["x-colour"]

    async def test_of_falsy_services(self, app, start):
        """`None`, `0` and the like are services, not the lack of one."""

        @app.get("/")
        async def view(number: Inject[int], nothing: Inject[Nothing]):
            return [number, nothing]

        start.registry.register_value(int, 0)
        start.registry.register_value(Nothing, None)
        async with client_of(app) as client:
            response = await client.get("/")

        assert [0, None] == response.json()

    async def test_what_is_missing(self, app):
        """A service that is not registered is an error that names it."""

        async def ask(services: DepContainer):
            await services.aget(int)

        @app.get("/")
        async def view(asked: Annotated[None, Depends(ask)]): ...

        async with client_of(app) as client:
            with pytest.raises(ServiceNotFoundError, match="int"):
                await client.get("/")

    def test_in_a_websocket(self, app, journal):
        """A WebSocket endpoint has services for as long as it is connected."""

        @app.websocket("/")
        async def echo(websocket: WebSocket, session: Inject[Session], services: DepContainer):
            await websocket.accept()
            assert services is current_container()
            async for text in websocket.iter_text():
                await websocket.send_text(session.work(text))

        with TestClient(app) as client, client.websocket_connect("/") as websocket:
            websocket.send_text("one")
            websocket.receive_text()
            websocket.send_text("two")
            websocket.receive_text()

        assert ["open", "one", "two", "commit"] == journal

    def test_unhashable(self):
        """A type that cannot be a key is refused where it is written."""
        with pytest.raises(InvalidRegistrationError, match="not hashable"):
            Inject[Annotated[int, []]]

    def test_is_equal_for_the_same_key(self):
        """Two annotations for the same key are the same; those of two scopes are not."""
        assert Inject[Session] == Inject[Session]
        assert hash(Inject[Session]) == hash(Inject[Session])
        assert Inject[Session] != Inject[int]
        assert Inject[Session] != FunctionInject[Session]

    @pytest.mark.parametrize(
        ("annotation", "key"),
        [
            (Inject[int], int),
            (FunctionInject[Annotated[int, "x"]], Annotated[int, "x"]),
            (DepContainer, Container),
            (DepFunctionContainer, Container),
            (DepRegistry, Registry),
        ],
        ids=["service", "service of a function", "container", "of a function", "registry"],
    )
    def test_tells_its_key(self, annotation, key):
        """Code that resolves a marker without FastAPI can read its key."""
        marker = annotation.__metadata__[-1]

        assert key == marker.dependency.__wares_key__

    async def test_leaves_no_trace_in_the_schema(self, app):
        """OpenAPI shows the parameters of FastAPI's own, and nothing of services."""

        async def deep(session: Inject[Session]): ...

        @app.get("/")
        async def view(
            session: Inject[Session],
            services: DepContainer,
            of_function: FunctionInject[Journal],
            registry: DepRegistry,
            of_deep: Annotated[None, Depends(deep)],
            number: int,
        ): ...

        async with client_of(app) as client:
            schema = (await client.get("/openapi.json")).json()

        operation = schema["paths"]["/"]["get"]
        assert ["number"] == [parameter["name"] for parameter in operation["parameters"]]
        assert "requestBody" not in operation
        assert "Session" not in str(schema["components"])


class TestInjectedByTheDecorator:
    """An endpoint with `wares.inject` has a container, although FastAPI sees no service."""

    @pytest.fixture
    def start(self, journal):
        """A lifespan that registers a session that synchronous functions can use, too."""

        @lifespan
        async def start(app, registry):
            def open_it():
                session = Session(journal)
                yield session
                journal.append("commit")

            registry.register_factory(Session, open_it)
            yield

        return start

    @pytest.mark.parametrize("path", ["/async", "/sync", "/dependency"])
    async def test_endpoints_and_dependencies(self, app, journal, path):
        """The container is opened before them, and closed after the response."""

        @wares.inject
        def depend(session: Inject[Session]):
            session.work("dependency")

        @app.get("/async")
        @wares.inject
        async def view(session: Inject[Session]):
            return session.work("async")

        @app.get("/sync")
        @wares.inject
        def synchronous(session: Inject[Session]):
            return session.work("sync")

        @app.get("/dependency")
        async def below(found: Annotated[None, Depends(depend)]): ...

        async with client_of(app) as client:
            response = await client.get(path)

        assert 200 == response.status_code
        assert [path[1:], "commit"] == journal

    async def test_beside_what_fastapi_fills(self, app, journal):
        """Injected dependencies and FastAPI's share one container, in any order."""

        @wares.inject
        def depend(session: Inject[Session]):
            session.work("first")

        @app.get("/", dependencies=[Depends(depend)])
        async def view(session: Inject[Session]):
            session.work("view")

        async with client_of(app) as client:
            await client.get("/")

        assert ["first", "view", "commit"] == journal

    def test_a_websocket(self, app, journal):
        """A WebSocket has one, too."""

        @app.websocket("/")
        @wares.inject
        async def echo(websocket: WebSocket, session: Inject[Session]):
            await websocket.accept()
            await websocket.send_text(str(session.work("socket")))
            await websocket.close()

        with TestClient(app) as client, client.websocket_connect("/") as socket:
            socket.receive_text()

        assert ["socket", "commit"] == journal

    async def test_what_is_missing(self, app):
        """The start fails if an injected endpoint asks for a service that is not registered."""

        @app.get("/")
        @wares.inject
        async def view(missing: Inject[complex]): ...

        with pytest.raises(InvalidRegistryError) as caught:
            async with started(app):
                pass

        (problem,) = caught.value.exceptions
        assert complex is problem.key
        assert "view" in str(problem)


class TestRegistry:
    async def test_as_a_dependency(self, app, start):
        """`DepRegistry` is the registry of the application."""

        @app.get("/")
        async def view(registry: DepRegistry, also: Annotated[Registry, Depends(registry)]):
            return registry is also is start.registry

        async with client_of(app) as client:
            response = await client.get("/")

        assert response.json() is True

    async def test_of_the_application(self, app, start):
        """`get_registry` finds the registry of a running application, or of its test client."""
        with pytest.raises(NoRegistryError):
            get_registry(app)
        async with started(app):
            assert start.registry is get_registry(app)
        with TestClient(app) as client:
            assert start.registry is get_registry(client)

    async def test_of_included_routers(self, start, journal):
        """The lifespan of an included router shares the registry of the application."""

        @lifespan
        async def start_router(app, registry):
            registry.register_value(int, 5)
            yield {"colour": "blue"}

        router = APIRouter(lifespan=start_router)

        @router.get("/")
        async def view(request: Request, number: Inject[int], session: Inject[Session]):
            return [number, session.work(), request.state.colour]

        app = FastAPI(lifespan=start)
        app.include_router(router)
        async with client_of(app) as client:
            response = await client.get("/")

        assert [5, "work", "blue"] == response.json()

    async def test_a_start_that_fails(self, journal):
        """A start that fails half-way closes what had been made (behaviour 20)."""

        @lifespan
        @asynccontextmanager
        async def start(app, registry):
            registry.register_value(
                str, "registered", on_registry_close=lambda: journal.append("closed")
            )
            raise ConnectionError
            yield

        with pytest.raises(ConnectionError):
            async with started(FastAPI(lifespan=start)):
                pass

        assert ["closed"] == journal

    async def test_a_start_that_yields_no_mapping(self, journal):
        """A state that is no mapping fails the start, and all is closed (behaviour 20)."""

        @lifespan
        async def start(app, registry):
            registry.register_value(
                str, "registered", on_registry_close=lambda: journal.append("closed")
            )
            yield "hunter2"

        with pytest.raises(InvalidRegistrationError, match="yielded a str"):
            async with started(FastAPI(lifespan=start)):
                pass

        assert ["closed"] == journal


class TestValidation:
    """Missing services are errors when the application starts."""

    @staticmethod
    async def problems_of(app):
        """Start *app* and give the problems that it has."""
        with pytest.raises(InvalidRegistryError) as caught:
            async with started(app):
                pass
        return caught.value.exceptions

    async def test_of_what_is_registered(self, journal):
        """A registry in which something cannot be made fails the start."""

        class NeedsNumber:
            def __init__(self, number: int): ...

        @lifespan
        async def start(app, registry):
            registry.register_factory(NeedsNumber, NeedsNumber)
            try:
                yield
            finally:
                journal.append("end")

        (problem,) = await self.problems_of(FastAPI(lifespan=start))

        assert int is problem.key
        assert ["end"] == journal

    @pytest.mark.parametrize("validate", [True, False])
    async def test_of_an_annotation_that_depends_names(self, register, validate):
        """FastAPI would call ``Inject[Session]`` with parameters from the request."""
        app = FastAPI(lifespan=lifespan(register, validate=validate))

        @app.get("/")
        async def view(session: Annotated[Session, Depends(Inject[Session])]): ...

        (problem,) = await self.problems_of(app)

        assert "session" == problem.parameter
        assert "Write Inject[...]" in str(problem)
        with pytest.raises(InvalidRegistrationError, match="names a marker"):
            wares.Depends(Inject[Session])
        with pytest.raises(InvalidRegistrationError, match="names a marker"):
            wares.Depends(wares.Depends(Session))

    async def test_of_what_endpoints_ask_for(self, app):
        """An endpoint that asks for something unregistered fails the start."""

        async def deep(number: Inject[int]): ...

        @app.get("/")
        async def view(text: Inject[str], of_deep: Annotated[None, Depends(deep)]): ...

        @app.websocket("/")
        async def echo(text: FunctionInject[Annotated[str, "name"]]): ...

        @app.get("/sound")
        async def sound(session: Inject[Session], services: DepContainer, it: DepRegistry): ...

        for _ in range(2):
            problems = await self.problems_of(app)

            assert [str, int, Annotated[str, "name"]] == [problem.key for problem in problems]
            assert __file__ in str(problems[0])
            assert "view" in str(problems[1])
            assert "deep" in str(problems[1])

    async def test_of_what_stands_for_more_than_one_key(self, app):
        """Annotations that stand for other keys are looked through, as they are for a get."""

        @app.get("/")
        async def view(
            optional: Inject[int | None],
            listed: Inject[list[int]],
            named: Inject[Mapping[str, int]],
            later: Inject[Callable[[], Awaitable[Session]]],
        ) -> list[object]:
            return [optional, listed, named, type(await later()).__name__]

        @app.get("/missing")
        async def miss(later: Inject[Callable[[], int]]): ...

        (problem,) = await self.problems_of(app)
        app.router.routes.pop()
        async with client_of(app) as client:
            answer = await client.get("/")

        assert int is problem.key
        assert "miss" in str(problem)
        assert [None, [], {}, "Session"] == answer.json()

    async def test_of_generics(self):
        """A generic service is there for each type."""
        T = TypeVar("T")

        class Mapper(Generic[T]): ...

        @lifespan
        async def start(app, registry):
            registry.register_generic(Mapper, Mapper)
            yield

        app = FastAPI(lifespan=start)

        @app.get("/")
        async def view(mapper: Inject[Mapper[int]]) -> str:
            return type(mapper).__name__

        async with client_of(app) as client:
            assert "Mapper" == (await client.get("/")).json()

    async def test_by_the_lifespan_of_starlette(self, register):
        """It does not know endpoints, so it refuses the application; a router may have it."""
        app = FastAPI(lifespan=wares.starlette.lifespan(register))
        outer = FastAPI(lifespan=lifespan(register))
        outer.include_router(APIRouter(lifespan=wares.starlette.lifespan(register)))

        with pytest.raises(InvalidRegistrationError, match=r"wares\.fastapi\.lifespan"):
            async with started(app):
                pass
        async with started(outer):
            pass

    async def test_of_what_only_fastapi_fills(self):
        """A registered factory cannot take a header: it would be given the default, unseen."""

        def by_default(token: str = Header()): ...

        def annotated(token: Annotated[str | None, Header()] = None): ...

        def required(number: Annotated[int, Body()]): ...

        @lifespan
        async def start(app, registry):
            for factory in (by_default, annotated, required):
                registry.register_factory(factory.__name__, factory)
            yield

        problems = await self.problems_of(FastAPI(lifespan=start))

        assert ["token", "token", "number"] == [problem.parameter for problem in problems]
        assert "only FastAPI fills Header()" in str(problems[0])
        assert "only FastAPI fills Body()" in str(problems[2])

    @pytest.mark.parametrize("marker", [fastapi.Depends, wares.Depends])
    async def test_of_what_fastapi_would_make(self, marker):
        """FastAPI never makes a registered service, with parameters from the request."""

        class Database:
            def __init__(self, url: str = ""): ...

        async def deep(it: Annotated[Database, marker(Database)]): ...

        @lifespan
        async def start(app, registry):
            registry.register_factory(Database, Database)
            yield

        app = FastAPI(lifespan=start)

        @app.get("/", dependencies=[marker(Database)])
        async def view(of_deep: Annotated[None, marker(deep)]): ...

        problems = await self.problems_of(app)

        assert ["dependencies", "it"] == [problem.parameter for problem in problems]
        assert "Inject[" in str(problems[1])
        assert "deep" in str(problems[1])

    @pytest.mark.parametrize("marker", [fastapi.Depends, wares.Depends])
    async def test_of_a_factory_that_fastapi_would_call(self, marker):
        """A dependency that has become a factory would make a second session for the request."""

        async def get_session(): ...

        @lifespan
        async def start(app, registry):
            registry.register_factory(Session, get_session)
            yield

        app = FastAPI(lifespan=start)

        @app.get("/")
        async def view(it: Annotated[Session, marker(get_session)]): ...

        (problem,) = await self.problems_of(app)

        assert "it" == problem.parameter
        assert "as the factory of Session. Ask for the service with Inject[Session]" in str(
            problem
        )

    @pytest.mark.parametrize("overridden", [Session, open_session])
    async def test_of_overrides_of_fastapi(self, register, overridden):
        """FastAPI calls nothing that is registered, so its overrides would have no effect."""
        app = FastAPI(lifespan=lifespan(register))
        app.dependency_overrides[overridden] = Session

        (problem,) = await self.problems_of(app)

        assert "override_factory(Session, ...)" in str(problem)

    async def test_accepts_connections(self, app):
        """An endpoint may ask for what each container is given, and for the registry."""

        @app.get("/")
        async def view(services: DepContainer, registry: Inject[Registry]) -> bool:
            return services.registry is registry

        @app.get("/connection")
        async def of_connection(connection: Annotated[str, Depends(GetService(Request))]): ...

        async with client_of(app) as client:
            assert (await client.get("/")).json() is True

    async def test_is_refused(self, journal):
        """`validate=False` leaves it to the first request."""

        async def start(app, registry):
            yield

        app = FastAPI(lifespan=lifespan(start, validate=False))

        @app.get("/")
        async def view(text: Inject[str]): ...

        async with client_of(app) as client:
            with pytest.raises(ServiceNotFoundError):
                await client.get("/")

    async def test_of_included_routers(self, start):
        """Routers register in lifespans of their own what others ask for: the last one tells."""

        @lifespan
        async def start_router(app, registry):
            registry.register_value(int, 5)
            yield

        app = FastAPI(lifespan=start)
        app.include_router(APIRouter())
        app.include_router(APIRouter(lifespan=start_router))

        @app.get("/")
        async def view(number: Inject[int], session: Inject[Session]): ...

        async with started(app):
            pass

        @app.get("/other")
        async def other_view(text: Inject[str]): ...

        assert [str] == [problem.key for problem in await self.problems_of(app)]

    async def test_of_a_lifespan_within_another_one(self):
        """A lifespan that is run by another one leaves it to that one."""

        @lifespan
        async def inner(app, registry):
            registry.register_value(str, "inner")
            yield

        @lifespan
        async def outer(app, registry):
            async with inner(app):
                registry.register_value(int, 5)
                yield

        app = FastAPI(lifespan=outer)

        @app.get("/")
        async def view(text: Inject[str], number: Inject[int]): ...

        async with started(app):
            pass


class TestGivenConnections:
    async def test_request(self, app, start):
        """A service may need the very request of the endpoint."""
        seen = []

        def remember(request: Request, connection: HTTPConnection):
            return request, connection

        @app.get("/")
        async def view(request: Request, remembered: Inject[Remembered]):
            seen.append({request, *remembered})

        start.registry.register_factory(Remembered, remember)
        async with client_of(app) as client:
            start.registry.validate()
            await client.get("/")

        assert [1] == [len(requests) for requests in seen]

    async def test_connection_of_the_endpoint(self, app, start):
        """An endpoint that takes an `HTTPConnection` itself still gets its services."""

        @app.get("/{name}")
        async def view(name: str, connection: HTTPConnection, of_service: Inject[Remembered]):
            return [name, connection is of_service]

        start.registry.register_factory(Remembered, take_connection)
        async with client_of(app) as client:
            response = await client.get("/a")

        assert ["a", True] == response.json()

    async def test_request_of_a_custom_class(self, start):
        """A request of a class of its own is given under that class, too."""

        class OwnRequest(Request):
            pass

        class OwnRoute(fastapi.routing.APIRoute):
            def get_route_handler(self):
                handle = super().get_route_handler()

                async def handle_own(request):
                    return await handle(OwnRequest(request.scope, request.receive))

                return handle_own

        app = FastAPI(lifespan=start)
        app.router.route_class = OwnRoute

        @app.get("/")
        async def view(services: DepContainer):
            return services.get(OwnRequest) is services.get(Request)

        async with client_of(app) as client:
            response = await client.get("/")

        assert response.json() is True

    def test_websocket(self, app, start):
        """A service may need the very WebSocket of the endpoint."""

        class Greeter:
            def __init__(self, websocket: WebSocket):
                self.websocket = websocket

            async def greet(self):
                await self.websocket.send_text("hello")

        @app.websocket("/")
        async def view(websocket: WebSocket, greeter: Inject[Greeter]):
            await websocket.accept()
            await greeter.greet()

        start.registry.register_factory(Greeter, Greeter)
        with TestClient(app) as client:
            with client.websocket_connect("/") as websocket:
                assert "hello" == websocket.receive_text()


def take_connection(connection: HTTPConnection):
    """Give the connection, as a service."""
    return connection


class TestOverrides:
    async def test_of_the_container(self, app):
        """`app.dependency_overrides[container]` replaces all that comes from the container."""
        other = Registry()
        other.register_value(int, 5)

        async def other_container():
            async with other.container() as services:
                yield services

        async def deep(number: Inject[int]):
            return number

        @app.get("/")
        async def view(
            number: Inject[int], services: DepContainer, deep: Annotated[int, Depends(deep)]
        ):
            return [number, services.get(int), deep]

        app.dependency_overrides[container] = other_container
        async with client_of(app) as client:
            response = await client.get("/")

        assert [5, 5, 5] == response.json()

    async def test_come_and_go(self, app, start):
        """Overrides work when they are set after the first request, and end when taken away."""

        @app.get("/")
        async def view(services: DepContainer):
            return services.get(int)

        @app.get("/sync")
        def sync_view(services: DepContainer):
            return services.get(int)

        other = Registry()
        other.register_value(int, 2)
        seen = []
        start.registry.register_value(int, 1)
        async with client_of(app) as client:
            for overrides in ({}, {container: lambda: other.container()}, {}):
                app.dependency_overrides = overrides
                seen += [(await client.get(path)).json() for path in ("/", "/sync")]

        assert [1, 1, 2, 2, 1, 1] == seen

    async def test_of_something_else(self, app, journal):
        """Overriding another dependency leaves services as they are."""

        def original():
            return "original"

        @app.get("/")
        async def view(session: Inject[Session], other: Annotated[str, Depends(original)]):
            return [session.work(), other]

        app.dependency_overrides[original] = lambda: "overridden"
        async with client_of(app) as client:
            response = await client.get("/")

        assert ["work", "overridden"] == response.json()
        assert ["open", "work", "commit"] == journal

    async def test_with_parameters(self, app):
        """The override of the container may have parameters of the request."""

        async def with_number(number: int):
            services = Registry().container()
            services.register_local_value(int, number)
            return services

        @app.get("/")
        async def view(number: Inject[int]):
            return number

        app.dependency_overrides[container] = with_number
        async with client_of(app) as client:
            found = await client.get("/", params={"number": 7})
            missing = await client.get("/")

        assert 7 == found.json()
        assert 422 == missing.status_code

    async def test_of_a_mounted_application(self, app):
        """The overrides of a mounted application are its own."""
        inner = FastAPI()
        app.mount("/inner", inner)

        @inner.get("/")
        async def view(services: DepContainer):
            return "number" in services

        async def of_inner():
            return ["number"]

        inner.dependency_overrides[container] = of_inner
        async with client_of(app) as client:
            response = await client.get("/inner/")

        assert response.json() is True

    async def test_of_the_registry(self, app, start):
        """A service replaced in the registry is replaced in endpoints."""

        @app.get("/")
        async def view(number: Inject[int]):
            return number

        seen = []
        start.registry.register_value(int, 1)
        async with client_of(app) as client:
            with start.registry.override_value(int, 2):
                seen.append((await client.get("/")).json())
            seen.append((await client.get("/")).json())

        assert [2, 1] == seen


class TestRoutes:
    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_of_included_routers(self, start, journal, when):
        """Routers give services, whether routes come before or after they are included."""
        app = FastAPI(lifespan=start)
        outer, router = APIRouter(prefix="/outer"), APIRouter(prefix="/inner")

        def include():
            outer.include_router(router)
            app.include_router(outer)

        if when == "before":
            include()

        @router.get("/work")
        async def view(session: Inject[Session]):
            return session.work()

        @router.websocket("/echo")
        async def echo(websocket: WebSocket, session: Inject[Session]):
            await websocket.accept()
            await websocket.send_text(session.work("echo"))
            await websocket.close()

        if when == "after":
            include()

        with TestClient(app) as client:
            response = client.get("/outer/inner/work")
            if response.status_code == 404:
                pytest.skip("this FastAPI copies routes when their router is included")
            with client.websocket_connect("/outer/inner/echo") as websocket:
                websocket.receive_text()

        assert ["open", "work", "commit", "open", "echo", "commit"] == journal

    async def test_that_are_added_later(self, app, journal):
        """A route that is added while the application runs gets services as all others do."""
        router = APIRouter()

        @router.get("/early")
        async def early(session: Inject[Session]):
            return session.work("early")

        app.include_router(router)
        async with client_of(app) as client:
            await client.get("/early")

            @router.get("/late")
            async def late(session: Inject[Session]):
                return session.work("late")

            @app.get("/later")
            async def later(session: Inject[Session]):
                return session.work("later")

            for path in "/late", "/early", "/later":
                await client.get(path)

        works = [entry for entry in journal if entry not in ("open", "commit")]
        assert works in (["early", "late", "early", "later"], ["early", "early", "later"])

    async def test_of_an_application_that_is_started_again(self, app, journal):
        """An application that is started again, as in tests, works again."""

        @app.get("/")
        async def view(session: Inject[Session]):
            return session.work()

        for _ in range(2):
            async with client_of(app) as client:
                await client.get("/")

        assert ["open", "work", "commit"] * 2 == journal

    async def test_with_dependencies_of_their_own(self, start, journal):
        """Dependencies of the application, a router and a route run, and may use services."""

        async def note(session: Inject[Session]):
            session.work("note")

        async def note_too(services: DepContainer):
            (await services.aget(Session)).work("note too")

        app = FastAPI(lifespan=start, dependencies=[Depends(note)])
        router = APIRouter(dependencies=[Depends(container)])

        @router.get("/", dependencies=[Depends(note_too)])
        async def view(session: Inject[Session]):
            return session.work()

        app.include_router(router)
        async with client_of(app) as client:
            response = await client.get("/")

        assert "work" == response.json()
        assert ["open", "note", "note too", "work", "commit"] == journal

    async def test_with_security(self, app, journal):
        """A request that `Security` refuses never reaches the endpoint."""

        async def check(scopes: SecurityScopes, token: Annotated[Any, Depends(HTTPBearer())]):
            if token.credentials not in scopes.scopes:
                raise HTTPException(403)
            return token.credentials

        @app.get("/")
        async def view(
            user: Annotated[str, Security(check, scopes=["reader"])], session: Inject[Session]
        ):
            return [user, session.work()]

        async with client_of(app) as client:
            refused = await client.get("/", headers={"authorization": "Bearer stranger"})
            served = await client.get("/", headers={"authorization": "Bearer reader"})

        assert [403, 200] == [refused.status_code, served.status_code]
        assert ["reader", "work"] == served.json()
        assert ["work"] == [entry for entry in journal if entry == "work"]

    async def test_with_a_limit(self, app, start):
        """A limit on how many may have the container at a time is kept."""
        if not hasattr(Depends(), "max_concurrency"):
            pytest.skip("this FastAPI has no such limits")
        present = []

        @app.get("/")
        async def view(
            services: Annotated[Container, Depends(container, max_concurrency=1)],
            number: Inject[int],
        ):
            present.append(services)
            await asyncio.sleep(0.01)
            return len(present) - present.index(services)

        start.registry.register_value(int, 5)
        async with client_of(app) as client:
            responses = await asyncio.gather(client.get("/"), client.get("/"))

        assert [1, 1] == [response.json() for response in responses]

    async def test_with_invalid_parameters(self, app, journal):
        """A request that is not valid never reaches the endpoint."""

        @app.get("/{number}")
        async def view(number: int, session: Inject[Session]):
            return session.work()

        async with client_of(app) as client:
            response = await client.get("/five")

        assert 422 == response.status_code
        assert ["path", "number"] == response.json()["detail"][0]["loc"]
        assert "work" not in journal

    async def test_name_their_place_in_errors(self, app, monkeypatch):
        """Errors of FastAPI that say where the endpoint is defined say so truly."""
        # FastAPI remembers places by `id`, also those of functions that are gone.
        monkeypatch.setattr(fastapi.routing, "_endpoint_context_cache", {}, raising=False)
        errors = []

        @app.exception_handler(RequestValidationError)
        async def handle(request, error):
            errors.append(error)
            return JSONResponse("", status_code=422)

        @app.get("/{number}")
        async def view(number: int, session: Inject[Session]): ...

        async with client_of(app) as client:
            await client.get("/five")

        if not hasattr(errors[0], "endpoint_ctx"):
            pytest.skip("this FastAPI names no places")
        assert __file__ in str(errors[0])

    async def test_with_a_body(self, app, journal):
        """A body is read and validated as without services."""

        @app.post("/")
        async def view(numbers: list[int], session: Inject[Session]):
            session.work()
            return sum(numbers)

        async with client_of(app) as client:
            response = await client.post("/", json=[1, 2, 3])
            invalid = await client.post("/", json="one")

        assert 6 == response.json()
        assert 422 == invalid.status_code

    async def test_of_callable_objects(self, app, journal):
        """An endpoint that is a method, an object or partial gets services, too."""

        class View:
            def __call__(self, session: Inject[Session]):
                return session.work("object")

        def of_partial(number: int, session: Inject[Session]):
            return session.work(f"partial {number}")

        class Methods:
            async def view(self, session: Inject[Session]):
                return session.work("method")

        app.add_api_route("/object", View())
        app.add_api_route("/partial", functools.partial(of_partial, 5))
        app.add_api_route("/method", Methods().view)
        async with client_of(app) as client:
            answers = [
                (await client.get(path)).json() for path in ("/object", "/partial", "/method")
            ]

        assert ["object", "partial 5", "method"] == answers

    async def test_that_are_decorated(self, app, journal):
        """An endpoint that a decorator wraps gets services, too."""

        def decorate(function):
            @functools.wraps(function)
            async def wrapped(*arguments, **keywords):
                return ["decorated", await function(*arguments, **keywords)]

            return wrapped

        @app.get("/")
        @decorate
        async def view(session: Inject[Session]):
            return session.work()

        async with client_of(app) as client:
            response = await client.get("/")

        assert ["decorated", "work"] == response.json()

    async def test_validate_what_is_returned(self, app, journal):
        """A response model is applied as without services."""

        @app.get("/", response_model=list[int])
        async def view(session: Inject[Session]):
            return ["1", "2"]

        async with client_of(app) as client:
            response = await client.get("/")

        assert [1, 2] == response.json()

    async def test_that_stream_by_yielding(self, app, journal):
        """An endpoint that yields its response item by item has its services to the end."""
        if not hasattr(fastapi, "sse"):
            pytest.skip("this FastAPI has no endpoints that yield")

        @app.get("/")
        async def view(session: Inject[Session]) -> AsyncIterator[str]:
            for number in range(2):
                yield session.work(str(number))

        async with client_of(app) as client:
            response = await client.get("/")

        assert '"0"\n"1"\n' == response.text
        assert ["open", "0", "1", "commit"] == journal


class TestFailures:
    @pytest.mark.parametrize("has_middleware", [False, True], ids=["alone", "with middleware"])
    @pytest.mark.parametrize(
        "error", [HTTPException(409), LookupError("no such book")], ids=["HTTP", "own"]
    )
    async def test_that_a_handler_answers(self, app, journal, error, has_middleware):
        """An exception that a handler answers rolls back all the same (behaviour 17)."""

        async def pass_on(request, call_next):
            return await call_next(request)

        @app.exception_handler(LookupError)
        async def handle(request, error):
            return JSONResponse("", status_code=409)

        if has_middleware:
            app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
            app.add_middleware(WaresMiddleware)

        @app.get("/")
        async def view(session: Inject[Session]):
            raise error

        async with client_of(app) as client:
            response = await client.get("/")

        assert 409 == response.status_code
        assert ["open", f"rollback {type(error).__name__}"] == journal

    async def test_that_nobody_answers(self, app, journal):
        """An unanswered exception reaches the cleanups and the server (17)."""

        @app.get("/")
        async def view(session: Inject[Session]):
            raise LookupError("no such book")

        async with client_of(app) as client:
            with pytest.raises(LookupError, match="no such book"):
                await client.get("/")

        assert ["open", "rollback LookupError"] == journal

    async def test_of_a_factory(self, app, start):
        """A factory that fails is an exception of the request like any other (behaviour 10)."""

        def connect():
            raise ConnectionError("no database")

        @app.exception_handler(ConnectionError)
        async def handle(request, error):
            return JSONResponse(str(error), status_code=503)

        @app.get("/")
        async def view(text: Inject[str]): ...

        start.registry.register_factory(str, connect)
        async with client_of(app) as client:
            response = await client.get("/")

        assert (503, "no database") == (response.status_code, response.json())

    async def test_of_a_cleanup(self, app, start):
        """A cleanup that fails is raised to the server (behaviour 16)."""

        async def broken():
            yield "broken"
            raise ConnectionError("no database")

        @app.get("/")
        async def view(text: Inject[str]):
            return text

        start.registry.register_factory(str, broken)
        async with client_of(app) as client:
            with pytest.raises(ConnectionError, match="no database"):
                await client.get("/")

    async def test_of_a_cleanup_before_the_response(self, app, start):
        """A commit that fails before the response is sent becomes an error response."""

        async def broken():
            yield "broken"
            raise ConnectionError

        @app.exception_handler(ConnectionError)
        async def handle(request, error):
            return JSONResponse("", status_code=503)

        @app.get("/")
        async def view(text: FunctionInject[str]):
            return text

        start.registry.register_factory(str, broken)
        async with client_of(app) as client:
            response = await client.get("/")

        assert 503 == response.status_code

    async def test_of_a_dependency(self, app, journal):
        """An exception of another dependency rolls back services that were made before it."""

        async def fail(session: Inject[Session]):
            raise LookupError

        @app.get("/")
        async def view(failed: Annotated[None, Depends(fail)], services: DepContainer): ...

        async with client_of(app) as client:
            with pytest.raises(LookupError):
                await client.get("/")

        assert ["open", "rollback LookupError"] == journal

    def test_of_a_websocket(self, app, journal):
        """A refused WebSocket rolls back, and nothing stays open (behaviours 17 and 25)."""

        @app.websocket("/")
        async def refuse(session: Inject[Session]):
            raise WebSocketException(1008)

        with TestClient(app) as client:
            with pytest.raises(WebSocketDisconnect), client.websocket_connect("/"):
                pass

        assert ["open", "rollback WebSocketException"] == journal


class TestEnds:
    async def test_after_a_stream(self, app, journal):
        """A streamed response has its services to the end (behaviour 25)."""

        @app.get("/")
        async def view(session: Inject[Session]):
            async def stream():
                for number in range(2):
                    await asyncio.sleep(0)
                    yield session.work(str(number))

            return StreamingResponse(stream())

        async with client_of(app) as client:
            response = await client.get("/")

        assert "01" == response.text
        assert ["open", "0", "1", "commit"] == journal

    async def test_after_background_tasks(self, app, journal):
        """A background task has its services to the end (behaviour 25)."""

        @app.get("/")
        async def view(session: Inject[Session], tasks: BackgroundTasks):
            tasks.add_task(session.work, "later")

        async with client_of(app) as client:
            await client.get("/")

        assert ["open", "later", "commit"] == journal

    async def test_before_the_response(self, app, journal):
        """`FunctionInject[T]` ends before the response is sent; `Inject[T]` afterwards."""

        class Noting(JSONResponse):
            async def __call__(self, scope, receive, send):
                journal.append("response")
                await super().__call__(scope, receive, send)

        @app.get("/function", response_class=Noting)
        async def of_function(session: FunctionInject[Session], services: DepFunctionContainer):
            return (await services.aget(Session)) is session

        @app.get("/request", response_class=Noting)
        async def of_request(session: Inject[Session]):
            return True

        async with client_of(app) as client:
            answers = [(await client.get(path)).json() for path in ("/function", "/request")]

        assert [True, True] == answers
        assert ["open", "commit", "response", "open", "response", "commit"] == journal

    async def test_of_both_scopes(self, app, journal):
        """The container of the function is a child: it has services of its own, ends first."""

        @app.get("/")
        async def view(
            function_session: FunctionInject[Session],
            services: DepContainer,
            inner: Annotated[Container, Depends(function_container, scope="function")],
        ):
            session = await services.aget(Session)
            return [session is function_session, current_container() is inner is not services]

        async with client_of(app) as client:
            response = await client.get("/")

        assert [False, True] == response.json()
        assert ["open", "open", "commit", "commit"] == journal

    @pytest.mark.parametrize("is_deep", [False, True])
    async def test_of_one_service_in_both_scopes(self, app, start, is_deep):
        """An endpoint that would be given two of one service is refused, and named."""

        class Books:
            def __init__(self, session: Session): ...

        class Orders:
            def __init__(self, session: Session, journal: Journal): ...

        def find(books: Inject[Books]):
            return books

        of_request = Annotated[Books, Depends(find)] if is_deep else Inject[Session]
        of_function = FunctionInject[Orders if is_deep else Session]

        @app.get("/")
        async def view(first: of_request, second: of_function): ...

        @app.get("/sound")
        async def sound(
            one: Inject[Journal], same: FunctionInject[Journal], other: FunctionInject[Session]
        ): ...

        start.registry.register_factory(Books, Books)
        start.registry.register_factory(Orders, Orders)
        (problem,) = await TestValidation.problems_of(app)

        assert "second" == problem.parameter
        assert "Session would be made twice for" in str(problem)
        assert "view" in str(problem)

    async def test_that_do_not_fit(self, app):
        """Something that lives longer may not need what ends before the response."""

        async def longer(session: FunctionInject[Session]):
            yield session

        with pytest.raises(DependencyScopeError):

            @app.get("/")
            async def view(of_longer: Annotated[Session, Depends(longer)]): ...

    async def test_in_reverse(self, app, start, journal):
        """A dependency that uses services may do so to its end: it was there after them."""

        async def unit(session: Inject[Session]):
            yield
            session.work("end of unit")

        @app.get("/")
        async def view(of_unit: Annotated[None, Depends(unit)], session: Inject[Session]):
            session.work()

        async with client_of(app) as client:
            await client.get("/")

        assert ["open", "work", "end of unit", "commit"] == journal


class TestScopeOfTheApplication:
    """All services end before the response where the lifespan says so: `scope="function"`."""

    @pytest.fixture
    def start(self, register):
        return lifespan(register, scope="function")

    @pytest.mark.parametrize("has_middleware", [False, True])
    async def test_everything_ends_before_the_response(self, app, journal, has_middleware):
        """All ways to ask give the same services, which end before the response."""

        class Noting(JSONResponse):
            async def __call__(self, scope, receive, send):
                journal.append("response")
                await super().__call__(scope, receive, send)

        def deep(session: Inject[Session]):
            return session

        def look(services, *sessions):
            return [len(set(sessions)), current_container() is services]

        @app.get("/", response_class=Noting)
        async def view(
            session: Inject[Session],
            same: FunctionInject[Session],
            services: DepContainer,
            inner: DepFunctionContainer,
            of_deep: Annotated[Session, Depends(deep)],
        ):
            return look(services, session, same, of_deep, await inner.aget(Session))

        @app.get("/def", response_class=Noting)
        def function(session: Inject[Session], of_deep: Annotated[Session, Depends(deep)]):
            return look(current_container(), session, of_deep)

        inner = FastAPI()
        inner.get("/", response_class=Noting)(view)
        app.mount("/inner", inner)
        if has_middleware:
            app.add_middleware(WaresMiddleware)

        async with client_of(app) as client:
            answers = [(await client.get(path)).json() for path in ("/", "/def", "/inner/")]

        assert [[1, True]] * 3 == answers
        assert ["open", "commit", "response"] * 3 == journal

    async def test_a_commit_that_fails(self, journal):
        """A client is not told of a success that the cleanup has failed."""

        async def fail():
            yield Session(journal)
            raise ConnectionError

        @functools.partial(lifespan, scope="function")
        async def start(app, registry):
            registry.register_factory(Session, fail)
            yield

        app = FastAPI(lifespan=start)
        app.exception_handler(ConnectionError)(lambda request, error: Response(status_code=503))

        @app.get("/")
        async def view(session: Inject[Session]): ...

        async with client_of(app) as client:
            answer = await client.get("/")

        assert 503 == answer.status_code

    @pytest.mark.parametrize("has_middleware", [False, True])
    async def test_failed_work(self, app, journal, has_middleware):
        """The exception of the endpoint reaches the cleanups, even if it is answered."""

        @app.get("/")
        async def view(session: Inject[Session]):
            raise HTTPException(409)

        if has_middleware:
            app.add_middleware(WaresMiddleware)
        async with client_of(app) as client:
            answer = await client.get("/")

        assert 409 == answer.status_code
        assert ["open", "rollback HTTPException"] == journal

    async def test_what_comes_after_the_response(self, app, journal):
        """A background task has the container of the request, where the others have ended."""

        async def work():
            journal.append("task")
            (await current_container().aget(Session)).work("in the task")

        @app.get("/")
        async def view(session: Inject[Session], tasks: BackgroundTasks):
            tasks.add_task(work)

        async with client_of(app) as client:
            await client.get("/")

        assert ["open", "commit", "task", "open", "in the task", "commit"] == journal

    async def test_a_websocket(self, app, journal):
        """The services of a WebSocket end when its endpoint returns."""

        @app.websocket("/")
        async def echo(websocket: WebSocket, session: Inject[Session]):
            await websocket.accept()
            session.work()
            await websocket.close()

        with TestClient(app) as client, client.websocket_connect("/"):
            pass

        assert ["open", "work", "commit"] == journal

    async def test_a_cancel_scope_that_is_held_open(self, app, start):
        """Services, and what ends with the function, may hold cancel scopes open."""

        async def limit():
            with anyio.fail_after(5):
                yield

        async def open_limited():
            with anyio.fail_after(5):
                yield 5

        @app.get("/service")
        async def of_service(number: Inject[int]):
            return number

        @app.get("/dependency")
        async def of_dependency(
            session: Inject[Session],
            limited: Annotated[None, Depends(limit, scope="function")],
        ):
            return 5

        start.registry.register_factory(int, open_limited)
        async with client_of(app) as client:
            answers = [(await client.get(path)).json() for path in ("/service", "/dependency")]

        assert [5, 5] == answers

    async def test_what_would_end_after_them(self, app):
        """A dependency that ends after the response may not need what ends before it."""

        async def unit(session: Inject[Session]):
            yield
            session.work()

        async def deep(services: DepContainer):
            return services

        async def longer(of_deep: Annotated[Container, Depends(deep)]):
            yield

        @app.get("/")
        async def view(
            of_unit: Annotated[None, Depends(unit)],
            of_longer: Annotated[None, Depends(longer)],
            sound: Annotated[None, Depends(unit, scope="function")],
        ): ...

        problems = await TestValidation.problems_of(app)

        assert [(unit, Session), (longer, Container)] == [
            (problem.key, problem.needed_key) for problem in problems
        ]
        assert "scope='function'" in str(problems[0])

    async def test_is_chosen_by_the_application(self, app, register):
        """The lifespan of a router cannot choose, but may say the same."""

        async def start_router(app, registry):
            yield

        router = APIRouter(lifespan=lifespan(start_router, scope="function"))
        other = FastAPI(lifespan=lifespan(register))
        for outer in (app, other):
            outer.include_router(router)

        async with started(app):
            pass
        with pytest.raises(InvalidOptionError, match="router"):
            async with started(other):
                pass

    def test_another_one(self, register):
        """A scope other than "request" and "function" is refused."""
        with pytest.raises(InvalidOptionError, match="'session'"):
            lifespan(register, scope="session")


class TestShortcut:
    """When the shortcut is taken. Other tests show that it has the same results."""

    @pytest.fixture
    def app(self, app):
        """Make an application with endpoints of both kinds."""

        @app.get("/")
        async def view(number: Inject[int]):
            return number

        @app.get("/sync")
        def sync_view(number: Inject[int]):
            return number

        return app

    async def get_both(self, app, start):
        """Ask both endpoints."""
        start.registry.register_value(int, 5)
        async with client_of(app) as client:
            return [(await client.get(path)).json() for path in ("/", "/sync")]

    def is_taken(self, app):
        """Tell by what FastAPI is shown whether endpoints fetch their services."""
        return [
            isinstance(dependant.dependencies, Dependencies)
            for dependant, _ in find_dependants(app.routes, app)
        ]

    async def test_is_taken(self, app, start, way_in):
        """The shortcut leads through this version of FastAPI."""
        assert [5, 5] == await self.get_both(app, start)
        assert [way_in, way_in] == self.is_taken(app)

    async def test_is_closed(self, app, start, way_in, monkeypatch, caplog):
        """If FastAPI raises an error in the shortcut, the documented way is taken."""
        monkeypatch.setattr(_routes, "get_dependant", Mock(side_effect=TypeError))
        caplog.set_level("INFO", "wares")

        assert [5, 5] == await self.get_both(app, start)
        assert [False, False] == self.is_taken(app)
        assert way_in == ("shortcut" in caplog.text)

    async def test_leads_elsewhere(self, app, start, monkeypatch):
        """If FastAPI behaves differently in the shortcut, the documented way is taken."""
        monkeypatch.setattr(_routes, "push_exit", Mock())

        assert [5, 5] == await self.get_both(app, start)
        assert [False, False] == self.is_taken(app)

    async def test_of_an_endpoint_that_is_called_directly(self, app, start):
        """The wrapper of an endpoint can be called directly, with explicit arguments."""
        await self.get_both(app, start)
        found = [dependant for dependant, _ in find_dependants(app.routes, app)]

        assert 3 == await found[0].call(number=3)
        assert 4 == found[1].call(number=4)


class TestOnAServer:
    async def test_a_client_that_hangs_up(self, app, journal):
        """A client that goes away in mid-stream leaves nothing open (behaviour 25)."""

        @app.get("/")
        async def view(session: Inject[Session]):
            async def stream():
                yield "begun"
                while True:
                    await asyncio.sleep(0.01)
                    session.work()
                    yield "more"

            return StreamingResponse(stream())

        async with serve(app) as address:
            await hang_up(address, "/", after=b"begun")
            await until(lambda: set(journal) & {"commit", "rollback ClientDisconnect"})

        ends = [entry for entry in journal if entry not in ("open", "work")]
        assert 1 == len(ends)

    async def test_a_websocket_that_hangs_up(self, app, journal):
        """A WebSocket that goes away leaves nothing open (behaviour 25)."""

        @app.websocket("/")
        async def echo(websocket: WebSocket, session: Inject[Session]):
            await websocket.accept()
            while True:
                await websocket.send_text(session.work(await websocket.receive_text()))

        async with serve(app) as address:
            async with websockets.connect(f"ws://{address}/") as client:
                await client.send("hello")
                await client.recv()
                client.transport.abort()
            await until(lambda: len(journal) == 3)

        assert ["open", "hello", "rollback WebSocketDisconnect"] == journal

    async def test_a_refused_websocket(self, app, journal):
        """A WebSocket that is refused is cleaned up like every other (behaviour 25)."""

        @app.websocket("/")
        async def refuse(websocket: WebSocket, session: Inject[Session]):
            await websocket.close(1008)

        async with serve(app) as address:
            with pytest.raises(websockets.InvalidStatus):
                async with websockets.connect(f"ws://{address}/"):
                    pass
            await until(lambda: len(journal) == 2)

        assert ["open", "commit"] == journal

    async def test_a_cancelled_request(self, app, journal):
        """A request that a timeout cancels is cleaned up, to the end (behaviour 25)."""

        class Impatient:
            def __init__(self, app):
                self.app = app

            async def __call__(self, scope, receive, send):
                if scope["type"] != "http":
                    return await self.app(scope, receive, send)
                try:
                    async with asyncio.timeout(0.05):
                        await self.app(scope, receive, send)
                except TimeoutError:
                    await JSONResponse("", status_code=504)(scope, receive, send)

        app.add_middleware(Impatient)

        @app.get("/")
        async def view(session: Inject[Session]):
            await asyncio.Event().wait()

        async with serve(app) as address, httpx.AsyncClient() as client:
            response = await client.get(f"http://{address}/")

        assert 504 == response.status_code
        assert ["open", "rollback CancelledError"] == journal


class Database:
    """A service of the application in the next test."""

    @classmethod
    async def connect(cls):
        """Connect."""
        return cls()

    async def get_user(self, user_id):
        """Look a user up."""
        return f"user {user_id}"

    async def ping(self):
        """Tell whether it is well."""


class TestAnApplication:
    """An application with a health endpoint, and its tests, as users write them."""

    @pytest.fixture
    def start(self):
        """Register a database with a ping."""

        @lifespan
        async def start(app: FastAPI, registry: Registry) -> AsyncIterator[dict[str, object]]:
            async def connect():
                return await Database.connect()

            registry.register_factory(Database, connect, ping=Database.ping)
            yield {"your": "other stuff"}

        return start

    @pytest.fixture
    def app(self, start):
        """Make the application."""
        app = FastAPI(lifespan=start)

        @app.get("/users/{user_id}")
        async def get_user(user_id: int, services: DepContainer):
            database = await services.aget(Database)
            return {"data": await database.get_user(user_id)}

        @app.get("/healthy")
        async def healthy(services: DepContainer) -> JSONResponse:
            well, failing, code = [], [], 200
            for ping in services.get_pings():
                try:
                    await ping.aping()
                    well.append(ping.name)
                except Exception:  # noqa: BLE001  # whatever is wrong, it is not well
                    failing.append(ping.name)
                    code = 500
            return JSONResponse({"ok": well, "failing": failing}, status_code=code)

        return app

    def test_serves(self, app):
        """An endpoint gets its database from the container."""
        with TestClient(app) as client:
            response = client.get("/users/1")

        assert {"data": "user 1"} == response.json()

    def test_is_healthy(self, app):
        """The health endpoint asks every service that has a ping."""
        with TestClient(app) as client:
            response = client.get("/healthy")

        assert 200 == response.status_code
        assert 1 == len(response.json()["ok"])

    def test_with_a_mock(self, app, start):
        """After the start a test registers what takes the service's place."""
        database = Mock(spec_set=Database)
        database.get_user.side_effect = Exception("boom!")

        with TestClient(app, raise_server_exceptions=False) as client:
            start.registry.register_value(Database, database)
            response = client.get("/users/1")

        assert 500 == response.status_code
        assert 1 == database.get_user.call_count
