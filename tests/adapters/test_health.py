"""Health endpoints, the same in each framework (behaviour 24)."""

import asyncio
import contextlib
import gc
import json
import logging
import threading
import weakref

import httpx
import pytest
import trio
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.routing import Mount

import wares.asgi
import wares.fastapi
import wares.flask
import wares.starlette
from tests.adapters.serving import client_of, serve, until
from tests.support.services import Cache, Database, Mailer
from wares import InvalidOptionError, NoRegistryError, Registry, RegistryClosedError
from wares._adapters.health_endpoint import HealthEndpoint


class Answer:
    """The response, from any client."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body

    @property
    def data(self):
        return json.loads(self.body)

    @property
    def kind(self):
        return self.headers["content-type"]


@contextlib.asynccontextmanager
async def running_asgi(registry, path, options):
    inner = wares.asgi.health_app(**options)

    async def app(scope, receive, send):
        assert scope["path"] == path
        await inner(scope, receive, send)

    lifespan = wares.asgi.lifespan(start, registry=registry)
    async with client_of(wares.asgi.WaresMiddleware(app, lifespan=lifespan)) as client:
        yield ask_with(client)


@contextlib.asynccontextmanager
async def running_starlette(registry, path, options):
    lifespan = wares.starlette.lifespan(start, registry=registry)
    app = Starlette(routes=[wares.starlette.health_route(path, **options)], lifespan=lifespan)
    async with client_of(app) as client:
        yield ask_with(client)


@contextlib.asynccontextmanager
async def running_fastapi(registry, path, options):
    lifespan = wares.fastapi.lifespan(start, registry=registry)
    app = FastAPI(lifespan=lifespan)
    app.include_router(wares.fastapi.health_router(path, **options))
    async with client_of(app) as client:
        yield ask_with(client)


@contextlib.asynccontextmanager
async def running_flask(registry, path, options):
    app = wares.flask.init_app(Flask("app"), registry=registry)
    app.register_blueprint(wares.flask.health_blueprint(path, **options))

    async def ask(path, method="GET", **headers):
        response = app.test_client().open(path, method=method, headers=headers)
        return Answer(response.status_code, dict(response.headers), response.data)

    yield ask
    wares.flask.close_registry(app)


async def start(app, registry):
    yield


def ask_with(client):
    async def ask(path, method="GET", **headers):
        response = await client.request(method, path, headers=headers)
        return Answer(response.status_code, dict(response.headers), response.content)

    return ask


@pytest.fixture(params=[running_asgi, running_starlette, running_fastapi, running_flask])
def run(request, registry):
    """Run an application with a health endpoint; give a function that asks."""

    def run(path="/healthy", **options):
        return request.param(registry, path, options)

    return run


def fail(_):
    raise ConnectionError("clerk:hunter2@db.example")


async def test_all_well(run, registry):
    """A healthy application answers with 200 and the names of its services."""
    registry.register_value(Database, 1, ping=lambda _: None)
    registry.register_factory(Cache, Cache, ping=lambda _: None)
    async with run() as ask:
        answer = await ask("/healthy")

    assert (200, {"ok": ["Database", "Cache"], "failing": []}) == (answer.status, answer.data)
    assert ("application/json", "no-store", "Accept") == (
        answer.kind,
        answer.headers["cache-control"],
        answer.headers["vary"],
    )


async def test_a_failing_service(run, registry, caplog):
    """A failing service is named, with 503; its error is only in the log."""
    registry.register_value(Database, 1, ping=fail)
    registry.register_value(Cache, 1, ping=lambda _: None)
    async with run() as ask:
        answer = await ask("/healthy")

    assert (503, {"ok": ["Cache"], "failing": ["Database"]}) == (answer.status, answer.data)
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [("wares", "Database")] == [
        (record.name, record.wares_service_name) for record in errors
    ]
    assert [ConnectionError] == [record.exc_info[0] for record in errors]


async def test_a_log_that_fails(registry, monkeypatch):
    """If the error of a ping cannot be logged, each probe gets the reason, and none waits."""

    def refuse(record):
        if record.levelno == logging.ERROR:
            raise OSError("the disk is full")

    logger = logging.getLogger("wares")
    monkeypatch.setattr(logger, "filters", [refuse])
    registry.register_value(Database, 1, ping=fail)
    endpoint = HealthEndpoint(max_age=60)

    for _ in range(2):
        with pytest.raises(OSError, match="the disk is full"):
            endpoint.respond(registry)
        with pytest.raises(OSError, match="the disk is full"):
            await asyncio.wait_for(endpoint.arespond(registry), 20)


async def test_errors_shown(run, registry):
    """Told to, it shows the errors."""
    registry.register_value(Database, 1, ping=fail)
    registry.register_value(Cache, 1, ping=lambda _: None)
    async with run(show_errors=True) as ask:
        answer = await ask("/healthy")

    assert {"Database": "ConnectionError: clerk:hunter2@db.example"} == answer.data["errors"]


async def test_another_path_and_other_statuses(run, registry):
    """Path and statuses can be changed."""
    failing = threading.Event()
    registry.register_value(Database, failing, ping=lambda event: 1 / (not event.is_set()))
    async with run("/live.z", ok_status=202, failing_status=500) as ask:
        first = await ask("/live.z")
        failing.set()
        second = await ask("/live.z")

    assert [202, 500] == [first.status, second.status]


async def test_details(run, registry):
    """If the client accepts `application/health+json`, the answer follows the IETF's draft."""
    registry.register_value("a:b", 1, ping=lambda _: None)
    registry.register_value(Database, 1, ping=fail)
    async with run() as ask:
        answer = await ask("/healthy", accept="application/health+json")

    checks = answer.data["checks"]
    assert ("application/health+json", 503, "fail") == (
        answer.kind,
        answer.status,
        answer.data["status"],
    )
    assert {"'a.b':responseTime", "Database:responseTime"} == set(checks)
    (well,), (failing,) = checks.values()
    assert ("pass", "fail", "ms") == (well["status"], failing["status"], well["observedUnit"])
    assert 0 < well["observedValue"] < 5000
    assert "output" not in failing


async def test_details_with_errors(run, registry):
    """The details show errors only when told to."""
    registry.register_value(Cache, 1, ping=lambda _: None)
    registry.register_value(Database, 1, ping=fail)
    async with run(show_errors=True) as ask:
        answer = await ask("/healthy", accept="application/health+json")

    (well,), (failing,) = answer.data["checks"].values()
    assert "ConnectionError: clerk:hunter2@db.example" == failing["output"]
    assert "output" not in well


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html, Application/Health+JSON;q=0.5", "application/health+json"),
        ("application/health+json;q=0.5, application/json;q=0.9", "application/json"),
        ("application/health+json;q=0", "application/json"),
        ("application/health+json;q=much", "application/json"),
        ("application/health+json, application/json", "application/health+json"),
    ],
)
async def test_what_is_accepted(run, accept, kind):
    """Clients get the detailed format if they name it and do not prefer the plain one."""
    async with run() as ask:
        answer = await ask("/healthy", accept=accept)

    assert kind == answer.kind


async def test_tags(run, registry):
    """The endpoint has tags of its own; a request narrows them down further."""
    registry.register_value(Database, 1, ping=lambda _: None, tags=["ready", "slow"])
    registry.register_value(Cache, 1, ping=lambda _: None, tags=["ready", "live"])
    registry.register_value(Mailer, 1, ping=lambda _: None, tags=["live"])
    async with run(tags=["ready"]) as ask:
        answers = [
            (await ask(path)).data["ok"]
            for path in (
                "/healthy",
                "/healthy?tag=live",
                "/healthy?tag=slow&tag=live",
                "/healthy?tag=",
            )
        ]

    assert [["Database", "Cache"], ["Cache"], ["Database", "Cache"], ["Database", "Cache"]] == (
        answers
    )


@pytest.mark.parametrize("query", ["tag=raedy", "tag=ready&tag=raedy", "tag=slow&tag=raedy"])
async def test_a_tag_that_is_not_there(run, registry, query):
    """A mistyped tag would check nothing and seem well, so it is a 404 that names the tags."""
    calls = []
    registry.register_value(Database, 1, ping=calls.append, tags=["ready", "b"])
    registry.register_value(Cache, 1, ping=calls.append, tags=["slow"])
    registry.register_value(Mailer, 1, tags=["raedy"])  # has no ping
    async with run(max_age=60) as ask:
        answer = await ask(f"/healthy?{query}")

    assert (404, {"unknown_tags": ["raedy"], "known_tags": ["b", "ready", "slow"]}) == (
        answer.status,
        answer.data,
    )
    assert "no-store" == answer.headers["cache-control"]
    assert [] == calls


async def test_a_tag_of_another_endpoint(run, registry):
    """A tag that none of the endpoint's own services has is not there, either."""
    registry.register_value(Database, 1, ping=lambda _: None, tags=["ready"])
    registry.register_value(Cache, 1, ping=lambda _: None, tags=["live"])
    async with run(tags=["live"]) as ask:
        answer = await ask("/healthy?tag=ready")

    assert (404, ["live"]) == (answer.status, answer.data["known_tags"])


@pytest.mark.parametrize("tags", [["raedy"], ["ready", "raedy"]])
async def test_a_mistyped_tag_of_the_endpoint(run, registry, tags):
    """A tag of the endpoint itself that no service with a ping has is a 404 as well."""
    registry.register_value(Database, 1, ping=lambda _: None, tags=["ready", "b"])
    registry.register_value(Mailer, 1, tags=["raedy"])  # has no ping
    async with run(tags=tags, max_age=60) as ask:
        answers = [await ask(path) for path in ("/healthy", "/healthy?tag=ready", "/healthy")]

    refusal = (404, {"unknown_tags": ["raedy"], "known_tags": ["b", "ready"]})
    assert [refusal] * 3 == [(answer.status, answer.data) for answer in answers]


async def test_no_tags(run, registry):
    """An endpoint for an empty list of tags checks nothing; its answer shows that it runs."""
    registry.register_value(Database, 1, ping=fail, tags=["ready"])
    async with run(tags=[]) as ask:
        answer = await ask("/healthy")

    assert (200, []) == (answer.status, answer.data["ok"])


async def test_head(run):
    """`HEAD` is answered as `GET`, without a body."""
    async with run() as ask:
        answer = await ask("/healthy", "HEAD")

    assert (200, b"", "application/json") == (answer.status, answer.body, answer.kind)


async def test_post(run):
    """Other methods are refused."""
    async with run() as ask:
        answer = await ask("/healthy", "POST")

    assert 405 == answer.status


async def test_kept_for_a_while(run, registry):
    """With `max_age`, a report is kept for so many seconds."""
    calls = []
    registry.register_value(Database, 1, ping=calls.append)
    registry.register_value(Cache, 1, ping=lambda _: None, tags=["ready"])
    async with run(max_age=60) as ask:
        answers = [await ask("/healthy") for _ in range(3)]
        narrowed = await ask("/healthy?tag=ready")

    assert [1] == calls
    assert [["Database", "Cache"]] * 3 == [answer.data["ok"] for answer in answers]
    assert "max-age=60" == answers[0].headers["cache-control"]
    assert ["Cache"] == narrowed.data["ok"]


async def test_one_run_whatever_is_asked(run, registry):
    """Within `max_age` there is one run, for any tags, known or not."""
    calls = []
    tags = [f"tag{number}" for number in range(6)]
    registry.register_value(Database, 1, ping=calls.append, tags=tags)
    async with run(max_age=60) as ask:
        for number in range(40):
            await ask(f"/healthy?tag=tag{number % 7}&tag=tag{number // 7}")

    assert [1] == calls


async def test_kept_no_longer(run, registry):
    """After that, and without `max_age`, the pings run anew."""
    calls = []
    registry.register_value(Database, 1, ping=calls.append)
    async with run(max_age=0.02) as ask:
        await ask("/healthy")
        await asyncio.sleep(0.03)
        answer = await ask("/healthy")

    assert [1, 1] == calls
    assert "no-store" == answer.headers["cache-control"]


async def test_bad_options(run):
    """Invalid options are refused when the endpoint is made."""
    for options in (
        {"timeout": 0},
        {"tags": "ready"},
        {"ok_status": "200"},
        {"failing_status": 99},
        {"max_age": -1},
    ):
        with pytest.raises(InvalidOptionError):
            async with run(**options):
                pass


@pytest.mark.parametrize("path", ["app", "starlette", "fastapi"])
async def test_concurrent_probes_share_one_run(path, registry):
    """On a real server, probes at the same time cause one run of the pings."""
    calls = []
    may_go_on = asyncio.Event()

    async def ping(_):
        calls.append(1)
        await may_go_on.wait()

    registry.register_value(Database, 1, ping=ping)
    app = {
        "app": lambda: wares.asgi.WaresMiddleware(
            wares.asgi.health_app(), lifespan=wares.asgi.lifespan(start, registry=registry)
        ),
        "starlette": lambda: Starlette(
            routes=[wares.starlette.health_route()],
            lifespan=wares.starlette.lifespan(start, registry=registry),
        ),
        "fastapi": lambda: make_fastapi(registry),
    }[path]()
    arrived = []

    async def note_arrival(scope, receive, send):
        arrived.append(scope.get("query_string"))
        await app(scope, receive, send)

    async with serve(note_arrival) as address, httpx.AsyncClient(timeout=60) as client:
        url = f"http://{address}/healthy"
        probes = [asyncio.create_task(client.get(f"{url}?patient")) for _ in range(10)]
        impatient = asyncio.create_task(client.get(url, timeout=0.05))
        await asyncio.gather(impatient, return_exceptions=True)
        await until(lambda: arrived.count(b"patient") == 10)
        may_go_on.set()
        answers = await asyncio.gather(*probes)

    assert [1] == calls
    assert [200] * 10 == [answer.status_code for answer in answers]


def make_fastapi(registry):
    app = FastAPI(lifespan=wares.fastapi.lifespan(start, registry=registry))
    app.include_router(wares.fastapi.health_router())
    return app


def test_concurrent_probes_of_threads_share_one_run(registry):
    """In a threaded server, probes at the same time cause one run of the pings, too."""
    calls = []
    barrier = threading.Barrier(2, timeout=5)

    def ping(_):
        calls.append(1)
        barrier.wait()

    registry.register_value(Database, 1, ping=ping)
    app = wares.flask.init_app(Flask("app"), registry=registry)
    app.register_blueprint(wares.flask.health_blueprint(max_age=60))
    answers = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(app.test_client().get("/healthy").status_code)
        )
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    barrier.wait()
    for thread in threads:
        thread.join()

    assert ([1], [200] * 5) == (calls, answers)


async def test_a_new_start_is_checked_anew():
    """The report of an earlier start of the application is not reused."""
    calls = []

    async def start(app, registry):
        registry.register_value(Database, 1, ping=calls.append)
        yield

    app = Starlette(
        routes=[wares.starlette.health_route(max_age=60)],
        lifespan=wares.starlette.lifespan(start),
    )
    for _ in range(2):
        async with client_of(app) as client:
            await client.get("/healthy")

    assert [1, 1] == calls


async def test_several_applications_share_an_endpoint(caplog):
    """Each application has a run of its own, and one that is gone is not kept in memory."""
    caplog.set_level(logging.CRITICAL, "wares")  # pytest would keep the errors' tracebacks
    calls = []
    endpoint = HealthEndpoint(max_age=60)

    def make_registry(name):
        registry = Registry()
        registry.register_value(Database, name, ping=lambda it: 1 / calls.append(it))
        return registry

    registries = [make_registry("first"), make_registry("second")]
    for registry in registries * 2:
        endpoint.respond(registry)
        await endpoint.arespond(registry)
    gone = weakref.ref(registries.pop())
    del registry
    gc.collect()

    assert ["first", "second"] == calls
    assert gone() is None


def test_openapi_tells_of_it(registry):
    """FastAPI documents the endpoint, with its statuses and its parameter, once."""
    app = FastAPI()
    app.include_router(wares.fastapi.health_router(failing_status=500))

    operations = app.openapi()["paths"]["/healthy"]

    assert ["get"] == list(operations)
    assert {"200", "404", "500", "422"} == set(operations["get"]["responses"])
    assert ["tag"] == [parameter["name"] for parameter in operations["get"]["parameters"]]


async def test_several_blueprints(registry):
    """An application may have several endpoints, for several kinds of probes."""
    app = wares.flask.init_app(Flask("app"), registry=registry)
    registry.register_value(Database, 1, ping=lambda _: None, tags=["live"])
    registry.register_value(Cache, 1, ping=lambda _: None, tags=["ready"])
    for path, tag in (("/live", "live"), ("/ready", "ready")):
        app.register_blueprint(wares.flask.health_blueprint(path, tags=[tag]))

    statuses = [app.test_client().get(path).status_code for path in ("/live", "/ready")]

    assert [200, 200] == statuses


def test_concurrent_probes_under_trio(registry):
    """Under trio, probes at the same time cause one run, which outlives those that give up."""
    calls = []
    may_go_on = threading.Event()

    async def ping(_):
        calls.append(1)
        while not may_go_on.is_set():
            await trio.sleep(0.001)

    registry.register_value(Database, 1, ping=ping)
    endpoint = HealthEndpoint(max_age=60)
    answers = []

    async def ask():
        answers.append((await endpoint.arespond(registry)).status)

    async def run():
        with trio.move_on_after(0.02):
            await ask()
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask)
            may_go_on.set()

    trio.run(run)

    assert ([1], [200] * 3) == (calls, answers)


class TestByItself:
    """`wares.asgi.health_app` without an adapter around it."""

    async def test_a_registry_of_its_own(self, registry):
        """`health_app` serves the registry that was passed."""
        registry.register_value(Database, 1, ping=lambda _: None)
        transport = httpx.ASGITransport(wares.asgi.health_app(registry))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answer = await client.get("/any")

        assert {"ok": ["Database"], "failing": []} == answer.json()

    async def test_the_one_it_was_given_wins(self, registry):
        """A registry that was passed takes precedence over that of the container."""
        registry.register_value(Database, 1, ping=lambda _: None)
        app = wares.asgi.WaresMiddleware(wares.asgi.health_app(registry), registry=Registry())
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answer = await client.get("/")

        assert ["Database"] == answer.json()["ok"]

    async def test_mounted(self, registry):
        """`health_app` can be mounted in an application whose middleware opens containers."""
        registry.register_value(Database, 1, ping=lambda _: None)
        inner = Starlette(routes=[Mount("/healthy", wares.asgi.health_app())])
        app = wares.asgi.WaresMiddleware(inner, registry=registry)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answer = await client.get("/healthy/")

        assert ["Database"] == answer.json()["ok"]

    async def test_the_registry_of_the_lifespan(self, registry):
        """Without a container, it serves the registry in the state of the lifespan."""

        @wares.starlette.lifespan
        async def start(app, registry):
            registry.register_value(Database, 1, ping=lambda _: None)
            yield

        app = Starlette(routes=[Mount("/healthy", wares.asgi.health_app())], lifespan=start)
        async with client_of(app) as client:
            answer = await client.get("/healthy/")

        assert ["Database"] == answer.json()["ok"]

    async def test_no_registry(self):
        """Without a registry, the error says how to give one."""
        transport = httpx.ASGITransport(wares.asgi.health_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            with pytest.raises(NoRegistryError):
                await client.get("/")

    @pytest.mark.parametrize("kind", ["websocket", "lifespan"])
    async def test_no_http(self, kind):
        """Anything but HTTP is refused, as the specification demands."""
        with pytest.raises(InvalidOptionError) as caught:
            await wares.asgi.health_app()({"type": kind}, None, None)

        assert kind in str(caught.value)


class TestTheRun:
    """The run that probes share, where it does not come to an end."""

    async def test_a_closed_registry(self):
        """A registry that is closed is an error, each time."""
        registry = Registry()
        registry.close()
        endpoint = HealthEndpoint(max_age=60)

        for _ in range(2):
            with pytest.raises(RegistryClosedError):
                endpoint.respond(registry)
            with pytest.raises(RegistryClosedError):
                await endpoint.arespond(registry)

    async def test_a_run_that_is_interrupted(self, registry):
        """If the event loop of a run ends, requests that wait for the run get an error."""
        begun = asyncio.Event()

        async def ping(_):
            begun.set()
            await asyncio.sleep(5)

        registry.register_value(Database, 1, ping=ping)
        endpoint = HealthEndpoint()
        before = asyncio.all_tasks()
        asking = asyncio.create_task(endpoint.arespond(registry))
        await begun.wait()
        for task in asyncio.all_tasks() - before - {asking}:
            task.cancel()
        (result,) = await asyncio.gather(asking, return_exceptions=True)

        assert asyncio.CancelledError is type(result)
