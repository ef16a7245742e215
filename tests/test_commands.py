"""The command line: `wares` and `python -m wares`."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml

import wares

SHOP = """
import asyncio
import functools
import time
from contextlib import asynccontextmanager
from typing import Annotated
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
import wares.asgi, wares.fastapi, wares.flask, wares.socketio, wares.starlette
from wares import Registry

class Database: ...
class Missing: ...
class Needy:
    def __init__(self, missing: Missing): ...

def register(registry):
    registry.register_factory(Database, Database, ping=lambda _: None, tags=["ready"])
    return registry

def fail(_):
    raise ConnectionError("no\\nanswer")

registry = register(Registry())
failing = Registry()
failing.register_value(Database, 1, ping=lambda _: None)
failing.register_value("broken", 1, ping=fail, tags=["ready"])
invalid = Registry()
invalid.register_factory(Needy, Needy)
invalid.register_factory("other", Needy)
class Page:
    def __init__(self, offset): ...
unfillable = wares.flask.init_app(Flask("shop"))
register(wares.flask.get_registry(unfillable))

@unfillable.get("/")
@wares.inject
def show(offset=wares.Depends(lambda: 0), page=wares.Depends(Page)):
    return ""

async def interrupted():
    raise KeyboardInterrupt

silent = Registry()
pingless = Registry()
pingless.register_value("without a ping", 1, tags=["rady"])

class _Name: ...

private = Registry()
private.register_value(_Name(), 1)
private.register_value(Annotated[object, _Name()], 1)
private.register_value(wares.socketio.Auth, 1)

given = Registry()
wares.socketio.expect(given)
def make_greeting(sid: wares.socketio.SocketID): ...
given.register_factory("greeting", make_greeting)

async def start_nothing(app, registry):
    yield

async def start(app, registry):
    register(registry)
    yield
    print("ended")

starlette = Starlette(lifespan=wares.starlette.lifespan(start))
fastapi = FastAPI(lifespan=wares.fastapi.lifespan(start))
asgi = wares.asgi.WaresMiddleware(Starlette(), lifespan=wares.asgi.lifespan(start))
without_lifespan = wares.asgi.WaresMiddleware(Starlette(), registry=registry)
flask = wares.flask.init_app(Flask("shop"))
register(wares.flask.get_registry(flask))

asking = wares.flask.init_app(Flask("shop"))

@asking.get("/")
@wares.inject
def ask(missing=wares.Depends("missing")):
    return "never"

import socketio
sio = wares.socketio.init_app(socketio.AsyncServer(async_mode="asgi"), registry)
sio_app = socketio.ASGIApp(sio)

asking_too = FastAPI(lifespan=wares.fastapi.lifespan(start_nothing))

@asking_too.get("/")
async def ask_too(missing: wares.fastapi.Inject[Missing]):
    return "never"

def make():
    return fastapi

async def make_later():
    return register(Registry())

class Factory:
    registry = register(Registry())

async def broken_start(app, registry):
    raise RuntimeError("no such port")
    yield

undecorated = Starlette(lifespan=asynccontextmanager(start))
broken = Starlette(lifespan=wares.starlette.lifespan(broken_start))

async def says_no(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "not today"})

async def raises(scope, receive, send):
    raise ValueError("no lifespan here")

nothing = Starlette()
number = 5

def make_with(app, *, debug=False):
    return app

part = functools.partial(make_with, registry)
part_of_async = functools.partial(make_later)

class Maker:
    def __call__(self):
        return flask

maker = Maker()

def make_by_asyncio():
    return asyncio.run(make_later())

async def start_invalid(app, registry):
    registry.register_factory(Needy, Needy)
    yield

problematic = FastAPI(lifespan=wares.fastapi.lifespan(start_invalid))
empty = FastAPI(lifespan=wares.fastapi.lifespan(start_nothing))
builtin = dict
"""

WITH_ASYNCIO = """
import asyncio
import shop

registry = asyncio.run(shop.make_later())
"""

USED = """
from typing import Annotated
from fastapi import Depends, FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.routing import Mount, Route
import wares
import wares.fastapi, wares.flask, wares.starlette
from wares import Registry

class Engine: ...
class Session:
    def __init__(self, engine: Engine): ...
class Repository:
    def __init__(self, session: Session): ...
class Mailer: ...
class Unused: ...
class Worker: ...

def register(registry):
    registry.register_factory(Engine, Engine)
    registry.register_factory(Worker, Worker, lifetime="singleton", eager=True)
    registry.register_factory(Session, Session)
    registry.register_factory(Repository, Repository)
    registry.register_value("mailer", Mailer())
    registry.register_factory(Unused, Unused)
    return registry

async def start(app, registry):
    register(registry)
    yield

def find(repository: wares.fastapi.Inject[Repository]): ...

fastapi = FastAPI(lifespan=wares.fastapi.lifespan(start))

@fastapi.get("/")
async def read(
    found: Annotated[None, Depends(find)],
    mailer: Annotated[None, wares.Depends("mailer")],
):
    return ""

fastapi.include_router(wares.fastapi.health_router())

flask = wares.flask.init_app(Flask("shop"))
register(wares.flask.get_registry(flask))

@flask.get("/")
@wares.inject
def view(repository: wares.Inject[Repository], mailer=wares.Depends("mailer")):
    return ""

silent = wares.flask.init_app(Flask("shop"))
register(wares.flask.get_registry(silent))
silent.get("/")(lambda: wares.flask.wares_from().get(Repository))

thrifty = wares.flask.init_app(Flask("shop"))
wares.flask.register_factory(thrifty, Engine, Engine)
thrifty.get("/")(wares.inject(lambda engine=wares.Depends(Engine): ""))

starlette = Starlette(
    lifespan=wares.starlette.lifespan(start),
    routes=[
        Mount("/in", routes=[Route("/", wares.inject(
            lambda request, repository=wares.Depends(Repository): ""))]),
        Route("/", wares.inject(lambda request, mailer=wares.Depends("mailer"): "")),
    ],
)
"""

SOCKETS = """
import socketio
from starlette.applications import Starlette
from starlette.routing import Mount
import wares.socketio, wares.starlette
from wares import Inject, Registry

class Engine: ...
class Unused: ...
class Missing: ...

async def start(app, registry):
    registry.register_factory(Engine, Engine)
    registry.register_factory(Unused, Unused)
    yield

def serve(sio, registry, combine):
    lifespan = wares.starlette.lifespan(start, registry=registry, validate=False)
    return combine(sio, Starlette(lifespan=lifespan))

def mount(sio, app):
    # The same server twice, as for an old path and a new one.
    app.router.routes += [Mount(path, socketio.ASGIApp(sio)) for path in ("/old", "/new")]
    return app

def wrap(sio, app):
    return socketio.ASGIApp(sio, app)

registry = Registry()
sio = wares.socketio.AsyncServer(async_mode="asgi", registry=registry)

@sio.event
async def buy(engine: Inject[Engine]): ...

mounted, wrapped = (serve(sio, registry, combine) for combine in (mount, wrap))
lacking = wares.socketio.AsyncServer(async_mode="asgi")

@lacking.event
async def sell(missing: Inject[Missing]): ...

mounted_lacking, wrapped_lacking = (serve(lacking, None, combine) for combine in (mount, wrap))
"""

EAGER = """
import faststream.asgi, faststream.nats, litestar
from fastapi import FastAPI
import wares.fastapi, wares.faststream, wares.litestar
from wares import Registry

class Database: ...
class Worker:
    def __init__(self, database: Database):
        print("started", end="")

def connect():
    print("connected", end="")
    yield 1

def register(registry, *, all_=True):
    registry.register_factory(Worker, Worker, lifetime="singleton", eager=True)
    if all_:
        registry.register_factory(Database, connect, lifetime="singleton", ping=lambda _: None)
    return registry

async def start(app, registry):
    register(registry)
    yield

async def start_invalid(app, registry):
    register(registry, all_=False)
    yield

def make_litestar(**options):
    plugin = wares.litestar.WaresPlugin(registry=register(Registry(), **options))
    return litestar.Litestar(plugins=[plugin])

def make_faststream(**options):
    app = faststream.asgi.AsgiFastStream(faststream.nats.NatsBroker(), logger=None)
    return wares.faststream.init_app(app, registry=register(Registry(), **options))

with_fastapi = FastAPI(lifespan=wares.fastapi.lifespan(start))
with_fastapi_invalid = FastAPI(lifespan=wares.fastapi.lifespan(start_invalid))
with_litestar, with_litestar_invalid = make_litestar(), make_litestar(all_=False)
with_faststream, with_faststream_invalid = make_faststream(), make_faststream(all_=False)
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with the modules of a shop."""
    (tmp_path / "shop.py").write_text(SHOP, "utf-8")
    (tmp_path / "used.py").write_text(USED, "utf-8")
    (tmp_path / "sockets.py").write_text(SOCKETS, "utf-8")
    (tmp_path / "eager.py").write_text(EAGER, "utf-8")
    (tmp_path / "with_asyncio.py").write_text(WITH_ASYNCIO, "utf-8")
    (tmp_path / "lacking.py").write_text("import nowhere_to_be_found", "utf-8")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("", "utf-8")
    (tmp_path / "package" / "inner.py").write_text(
        "from wares import Registry\nregistry = Registry()\nregistry.register_value('in', 1)",
        "utf-8",
    )
    return tmp_path


@pytest.fixture
def run_apart(folder):
    """Run the command in another interpreter, which ends with the test at the latest."""
    processes = []
    environment = {
        **os.environ,
        "PYTHONIOENCODING": "utf-8",
        "PYTHONPATH": str(Path(wares.__file__).parents[1]),
        "TERM": "xterm",
    }

    def run(*arguments, stdout=subprocess.PIPE):
        process = subprocess.Popen(
            [sys.executable, "-m", "wares", *arguments],
            cwd=folder,
            stdout=stdout,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env=environment,
        )
        processes.append(process)
        return process

    # A shell makes its background jobs ignore interrupts. The command would inherit that.
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield run
    signal.signal(signal.SIGINT, earlier)
    for process in processes:
        with process:
            process.kill()


@pytest.fixture
def call(folder, monkeypatch, capsys):
    """Call the command line in this interpreter, in that folder; return code and output."""
    from wares.__main__ import main

    modules = set(sys.modules)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["wares", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        output = capsys.readouterr()
        return caught.value.code, output.out, output.err

    yield call
    ours = ("shop", "used", "sockets", "eager", "with_asyncio", "lacking", "package", "inner")
    for name in set(sys.modules) - modules:
        if name.partition(".")[0] in ours:
            del sys.modules[name]


TARGETS = [
    "registry",
    "starlette",
    "fastapi",
    "asgi",
    "without_lifespan",
    "flask",
    "sio",
    "sio_app",
    "make",
    "make_later",
    "Factory.registry",
    "part",
    "part_of_async",
    "maker",
    "make_by_asyncio",
]


class TestTargets:
    """The targets that `module:attribute` may name."""

    @pytest.mark.parametrize("target", TARGETS)
    def test_registries_and_applications(self, call, target):
        """A registry, an application of any framework, or a function that makes one."""
        code, out, _ = call("list", f"shop:{target}")

        assert 0 == code
        assert "Database" in out

    def test_lifespans_end(self, call):
        """The application is started, and ended again."""
        _, out, _ = call("check", "shop:fastapi")

        assert out.endswith("ended\n")

    @pytest.mark.parametrize(
        ("target", "message"),
        [
            ("shop", "'shop' is not a target. Write a module and an attribute"),
            (":app", "is not a target"),
            ("shop:", "is not a target"),
            ("nowhere:app", "There is no module 'nowhere'"),
            ("package.nowhere:app", "There is no module 'package.nowhere'"),
            ("shop:fastap", "'shop' has no attribute 'fastap'. Similar names: 'fastapi'"),
            ("shop:xyzzy", "'shop' has no attribute 'xyzzy'."),
            ("shop:nothing", "There is no registry on the Starlette"),
            ("shop:number", "There is no registry on the int"),
            ("shop:raises", "There is no registry on the function"),
            ("shop:Database", "There is no registry on the Database"),
            ("shop:builtin", "There is no registry on the dict"),
            ("shop:make_with", "make_with takes arguments: (app, *, debug=False), and"),
            ("shop:make_with", "a Registry, calls make_with with it, and returns it."),
            ("./nowhere:app", "There is no module './nowhere' in"),
            ("package/nowhere.py:app", "There is no module 'package/nowhere.py' in"),
            ("./shop:nowhere", "'shop' has no attribute 'nowhere'."),
        ],
    )
    def test_wrong_ones(self, call, target, message):
        """A wrong target is explained, with the exit code for wrong usage."""
        code, _, err = call("check", target)

        assert 2 == code
        assert message in " ".join(err.split())
        assert "Traceback" not in err

    @pytest.mark.parametrize(
        "target",
        [
            "./package/inner:registry",
            "package/inner.py:registry",
            "package.inner:registry",
        ],
    )
    def test_paths(self, call, target):
        """A module may be named by the path of its file; it is imported under its real name."""
        code, out, _ = call("list", target)

        assert (0, True) == (code, "'in'" in out)
        assert "package.inner" in sys.modules

    @pytest.mark.parametrize("target", ["inner:registry", "./inner.py:registry"])
    def test_another_folder(self, call, target):
        """`--app-dir` names the folder where the module is."""
        (Path.cwd() / "package" / "__init__.py").unlink()
        code, out, _ = call("list", target, "--app-dir", "package")

        assert (0, True) == (code, "'in'" in out)

    def test_a_folder_that_is_not_there(self, call):
        """A folder that is not there is wrong usage."""
        code, _, err = call("list", "shop:registry", "--app-dir", "nowhere")

        assert 2 == code
        assert "'nowhere' does not exist" in err

    def test_a_module_that_runs_an_event_loop(self, call):
        """Modules are imported outside of any event loop, so they may run one."""
        code, out, _ = call("check", "with_asyncio:registry")

        assert (0, "✓ 1 service, no problem\n") == (code, out)

    def test_a_module_that_cannot_be_imported(self, call):
        """If the module lacks another module, Python's error is shown."""
        code, _, err = call("check", "lacking:app")

        assert 1 == code
        assert "Traceback" in err
        assert "nowhere_to_be_found" in err

    def test_an_application_that_does_not_start(self, call):
        """The exception that kept it from starting is shown."""
        code, _, err = call("check", "shop:broken")

        assert 1 == code
        assert "RuntimeError: no such port" in err

    def test_a_lifespan_that_is_not_decorated(self, call):
        """A lifespan function that is not decorated is an error that says so."""
        code, _, err = call("check", "shop:undecorated")

        assert 1 == code
        assert "The lifespan start" in err
        assert "is not decorated" in err

    def test_an_application_that_says_no(self, call):
        """An application may say why it does not start without raising."""
        code, _, err = call("check", "shop:says_no")

        assert 2 == code
        assert "not today" in err


class TestEagerServices:
    """Services that applications make when they start."""

    @pytest.mark.parametrize("command", ["check", "graph", "list"])
    @pytest.mark.parametrize("target", ["with_fastapi", "with_litestar", "with_faststream"])
    def test_commands_that_look_make_none(self, call, command, target):
        """A command that only looks at an application makes no service, so it needs no database."""
        code, out, _ = call(command, f"eager:{target}")

        assert (0, False, False) == (code, "connected" in out, "started" in out)

    def test_a_ping_makes_them(self, call):
        """`ping` starts the application as a server does."""
        code, out, _ = call("ping", "eager:with_fastapi")

        assert (0, True) == (code, out.startswith("connectedstarted"))

    @pytest.mark.parametrize("command", ["graph", "list"])
    @pytest.mark.parametrize("target", ["with_fastapi", "with_litestar", "with_faststream"])
    def test_one_that_cannot_be_made(self, call, command, target):
        """An application whose eager service cannot be made can be drawn and listed."""
        code, out, _ = call(command, f"eager:{target}_invalid")

        assert (0, True) == (code, "Database" in out)


class TestCheck:
    """`wares check`."""

    def test_no_problem(self, call):
        """A registry without problems is said to have none."""
        code, out, _ = call("check", "shop:registry")

        assert (0, "✓ 1 service, no problem\n") == (code, out)

    def test_problems(self, call):
        """All problems are shown, with the code of a failure."""
        code, out, err = call("check", "shop:invalid")

        assert (1, "") == (code, out)
        assert "✗ 1. Nothing is registered for Missing." in err
        assert "✗ 2. Nothing is registered for Missing." in err
        assert "shop.py:" in err
        assert "The registry has 2 problems" in err

    def test_a_view_of_flask(self, call):
        """A service that a Flask view asks for and nothing registers is shown."""
        code, _, err = call("check", "shop:asking")

        assert 1 == code
        assert "Nothing is registered for 'missing'." in err
        assert "ask (" in err

    def test_a_parameter_that_nothing_fills(self, call):
        """A parameter that neither a call nor a registration can fill is shown."""
        code, _, err = call("check", "shop:unfillable")

        assert 1 == code
        assert "Cannot fill the parameter 'offset' of Page" in err

    def test_problems_of_an_application(self, call):
        """Problems that keep an application from starting are shown, without a traceback."""
        code, _, err = call("check", "shop:problematic")

        assert 1 == code
        assert "✗ 1. Nothing is registered for Missing." in err
        assert "Traceback" not in err

    @pytest.mark.parametrize("target", ["shop:silent", "shop:empty"])
    def test_no_services(self, call, target):
        """If nothing is registered, the check fails, because nothing was checked."""
        code, out, err = call("check", target)

        assert (1, "") == (code, out)
        assert "Nothing is registered, so there is nothing to check." in err

    @pytest.mark.parametrize("app", ["fastapi", "flask", "starlette"])
    def test_what_nobody_needs(self, call, app):
        """A service that no factory, handler or start needs is a warning.

        FastAPI merges the lifespans of an application and its routers, which hides ours.
        """
        code, out, err = call("check", f"used:{app}")

        assert (0, "✓ 6 services, no problem\n") == (code, out)
        assert [
            "! Unused is registered, but nothing seems to need it. (used.py:17)",
            "Services that functions ask for in their bodies cannot be seen.",
        ] == err.splitlines()

    @pytest.mark.parametrize("place", ["mounted", "wrapped"])
    def test_servers_of_socketio(self, call, place):
        """The handlers of a Socket.IO server are seen wherever it is, and each problem once."""
        code, out, err = call("check", f"sockets:{place}")
        lacking, _, problems = call("check", f"sockets:{place}_lacking")

        assert (0, "✓ 2 services, no problem\n") == (code, out)
        assert ["Unused"] == re.findall(r"^! (\w+)", err, re.MULTILINE)
        assert (1, 1) == (lacking, problems.count("Nothing is registered for Missing"))

    def test_what_nobody_asks_for_in_a_signature(self, call):
        """If all handlers ask in their bodies, there is no warning about unused services."""
        code, _, err = call("check", "used:silent")
        strict, _, errors = call("check", "used:silent", "--unused")

        assert (0, "") == (code, err)
        assert (1, True) == (strict, "! Repository" in errors)

    def test_what_nobody_needs_may_be_an_error(self, call):
        """With `--unused` it is an error; where all is needed, it is none."""
        code, _, err = call("check", "used:flask", "--unused")
        needed, _, silence = call("check", "used:thrifty", "--unused")

        assert (1, True) == (code, "! Unused" in err)
        assert (0, "") == (needed, silence)

    def test_for_editors(self, call):
        """`--format editor` writes a line for each problem, as compilers do."""
        code, out, err = call("check", "shop:invalid", "--format", "editor")
        unused, warnings, _ = call("check", "used:flask", "--format", "editor")
        strict, errors, _ = call("check", "used:fastapi", "--format", "editor", "--unused")
        nothing, silence, _ = call("check", "shop:silent", "--format", "editor")

        assert (1, "") == (code, err)
        line = next(
            number for number, text in enumerate(SHOP.splitlines(), 1) if "class Needy" in text
        )
        assert [f"shop.py:{line}: error: Nothing is registered for Missing."] * 2 == (
            out.splitlines()
        )
        expected = "Unused is registered, but nothing seems to need it."
        assert (0, f"used.py:17: warning: {expected}\n") == (unused, warnings)
        assert (1, f"used.py:17: error: {expected}\n") == (strict, errors)
        assert (1, True) == (
            nothing,
            silence.startswith("shop.py:1: error: Nothing is registered, so"),
        )

    def test_for_github(self, call):
        """`--format github` writes annotations, whose line breaks and signs are escaped."""
        code, out, _ = call("check", "shop:invalid", "--format", "github")

        first, _ = out.splitlines()
        assert 1 == code
        assert re.match(
            r"::error file=shop\.py,line=\d+,title=wares::Nothing is registered for Missing\."
            r"%0AIt was needed on this path:%0A",
            first,
        )

    def test_many_services(self, call):
        """The output contains the number of services."""
        _, out, _ = call("check", "shop:failing")

        assert "✓ 2 services, no problem\n" == out


class TestGraph:
    """`wares graph`."""

    @pytest.mark.parametrize(
        ("options", "begins"),
        [
            ([], "flowchart"),
            (["--format", "mermaid"], "flowchart"),
            (["-f", "dot"], "digraph"),
            (["-f", "html"], "<!doctype html>"),
            (["-f", "json"], "{"),
        ],
    )
    def test_formats(self, call, options, begins):
        """The graph is written in each format; the default is Mermaid."""
        code, out, _ = call("graph", "shop:registry", *options)

        assert 0 == code
        assert out.startswith(begins)

    @pytest.mark.parametrize(
        ("name", "options", "begins"),
        [
            ("graph.html", [], "<!doctype html>"),
            ("graph.dot", [], "digraph"),
            ("graph.json", [], "{"),
            ("graph.mmd", [], "flowchart"),
            ("graph.txt", [], "flowchart"),
            ("graph.txt", ["-f", "dot"], "digraph"),
        ],
    )
    def test_into_a_file(self, call, folder, name, options, begins):
        """The name of the file selects the format, unless an option does."""
        code, out, _ = call("graph", "shop:registry", "-o", name, *options)

        assert (0, "") == (code, out)
        assert (folder / name).read_text("utf-8").startswith(begins)

    def test_a_title(self, call):
        """A page has the title that it is given."""
        _, out, _ = call("graph", "shop:registry", "-f", "html", "--title", "The shop")

        assert "<h1>The shop</h1>" in out

    def test_of_an_application_that_would_not_start(self, call):
        """An application with problems is started all the same, and they are drawn in red."""
        code, out, err = call("graph", "shop:problematic")

        assert (0, "1 problem, drawn in red. `wares check` shows the details.\n") == (code, err)
        assert "problem" in out.splitlines()[-2]
        assert "linkStyle 0 stroke:#dc2626" in out

    def test_what_handlers_miss(self, call):
        """A missing service of a handler is not drawn, but reported."""
        code, _, err = call("graph", "shop:asking")
        unstarted, _, more = call("graph", "shop:asking_too")

        expected = "1 problem of handlers, not drawn. `wares check` shows the details.\n"
        assert (0, expected) == (code, err)
        assert (0, expected) == (unstarted, more)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("g.svg", "Graphviz makes .svg files. Write a .dot file, and convert it: dot"),
            ("g.PNG", "Graphviz makes .png files"),
            ("g.xyz", "'.xyz' is not the extension of a format. Use one of .mmd, .mermaid,"),
            ("nowhere/g.html", "There is no directory 'nowhere'. Make it first."),
            ("package", "is a directory"),
        ],
    )
    def test_files_that_cannot_be_written(self, call, name, message):
        """A file that cannot be written is wrong usage, which is said before anything starts."""
        code, out, err = call("graph", "shop:fastapi", "-o", name)

        assert (2, "") == (code, out)
        assert message in " ".join(err.replace("│", " ").split())

    def test_a_file_that_is_not_to_be_written(self, call, folder):
        """A file that the system refuses is an error without a traceback."""
        code, _, err = call("graph", "shop:registry", "-o", f"{'x' * 300}.html")

        assert 1 == code
        assert "Could not open file" in err
        assert "Traceback" not in err

    def test_a_file_without_a_suffix(self, call, folder):
        """A file whose name tells nothing is written for Mermaid."""
        call("graph", "shop:registry", "-o", "graph")

        assert (folder / "graph").read_text("utf-8").startswith("flowchart")

    @pytest.mark.parametrize("target", ["shop:silent", "shop:empty"])
    def test_no_services(self, call, target):
        """If nothing is registered, the drawing is empty, and a message says why."""
        code, out, err = call("graph", target)

        assert 0 == code
        assert out.startswith("flowchart")
        assert err == "Nothing is registered, so there is nothing to draw.\n"

    def test_of_something_invalid(self, call):
        """An invalid registry can be drawn; that is when one needs it."""
        code, out, _ = call("graph", "shop:invalid", "-f", "json")

        assert 0 == code
        assert 2 == len(json.loads(out)["problems"])


class TestPing:
    """`wares ping`."""

    def test_all_well(self, call):
        """A table shows each service, with how long it took."""
        code, out, _ = call("ping", "shop:fastapi")

        assert 0 == code
        assert "✓" in out
        assert "Database" in out
        assert " ms" in out

    def test_failing(self, call):
        """A failing service is shown with its error, and the exit code is 1."""
        code, out, _ = call("ping", "shop:failing")

        (line,) = (line for line in out.splitlines() if "broken" in line)
        assert 1 == code
        assert "✗" in line
        assert "ConnectionError: no answer" in line

    def test_one_tag(self, call):
        """Only services with the tag are pinged."""
        code, out, _ = call("ping", "shop:failing", "--tag", "ready")

        assert 1 == code
        assert "Database" not in out

    @pytest.mark.parametrize(
        ("target", "message"),
        [
            ("shop:failing", "No service has the tag 'rady'. There are: ready."),
            ("shop:silent", "No service has the tag 'rady'. No service has any."),
            ("shop:pingless", "No service has the tag 'rady'. No service has any."),
        ],
    )
    def test_a_tag_that_is_not_there(self, call, target, message):
        """A mistyped tag would ping nothing; so it is refused."""
        code, _, err = call("ping", target, "--tag", "rady")

        assert 2 == code
        assert message in " ".join(err.split())

    def test_nothing_to_ping(self, call):
        """Without pings there is nothing wrong, and it is said."""
        code, out, _ = call("ping", "shop:silent")

        assert (0, "No service has a ping.\n") == (code, out)

    @pytest.mark.parametrize("timeout", ["0", "-1", "much"])
    def test_timeouts(self, call, timeout):
        """A timeout is a positive number."""
        code, _, err = call("ping", "shop:registry", "--timeout", timeout)

        assert 2 == code
        assert "--timeout" in err

    def test_interrupted(self, call):
        """An interrupted command exits with the code that shells use for it."""
        code, _, _ = call("ping", "shop:interrupted")

        assert 130 == code

    def test_watching(self, run_apart):
        """Pings are repeated until the command is interrupted; then the application ends."""
        process = run_apart("ping", "shop:fastapi", "--watch", "0.01")
        seen = 0
        for line in process.stdout:
            seen += "Database" in line
            if seen == 3:
                break
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)

        assert 130 == process.returncode
        assert "ended" in rest

    def test_on_a_terminal(self, folder, run_apart):
        """On a terminal the table is there at once, and is filled while the pings run."""
        pty = pytest.importorskip("pty", reason="needs a terminal of POSIX")
        source = """
            import time
            from wares import Registry
            registry = Registry()
            registry.register_value("slow", 1, ping=lambda _: time.sleep(0.3))
        """
        (folder / "slow.py").write_text(textwrap.dedent(source), "utf-8")
        ours, theirs = pty.openpty()
        process = run_apart("ping", "slow:registry", stdout=theirs)
        os.close(theirs)
        text = read_terminal(ours)
        os.close(ours)
        process.communicate(timeout=60)

        assert 0 == process.returncode
        assert text.index("slow") < text.index("✓")


class TestList:
    """`wares list`."""

    def test_facts(self, call):
        """Each service is listed with its lifetime, kind, ping, tags and place."""
        code, out, _ = call("list", "shop:registry")

        (line,) = (line for line in out.splitlines() if "Database" in line)
        assert 0 == code
        assert ["Database", "scoped", "factory", "✓", "ready"] == [
            cell.strip() for cell in line.split("│")[1:6]
        ]
        assert "shop.py:" in line

    def test_values(self, call):
        """A value has no lifetime, and a missing service is listed."""
        _, out, _ = call("list", "shop:failing")
        _, missing, _ = call("list", "shop:invalid")

        assert "scoped" not in out
        assert "missing" in missing

    def test_an_application_that_would_not_start(self, call):
        """The services of an application with problems can be listed."""
        code, out, _ = call("list", "shop:problematic")

        assert (0, True) == (code, "Needy" in out)

    def test_keys_are_named_as_they_are_written(self, call):
        """A key that is made of an object is named by its type, or as it says, each time alike."""
        _, out, _ = call("list", "shop:private")

        names = [line.split("│")[1].strip() for line in out.splitlines() if "value" in line]
        assert ["<_Name>", "Annotated[object, <_Name>]", "Auth"] == names

    def test_given_objects(self, call):
        """Objects that containers are given are listed only if a service needs them."""
        _, out, _ = call("list", "shop:given")

        expected = [
            line.split("│")[1].strip() for line in out.splitlines() if "expected" in line
        ]
        assert ["SocketID"] == expected

    def test_nothing(self, call):
        """If nothing is registered, the command says so."""
        code, out, _ = call("list", "shop:silent")

        assert (0, "Nothing is registered.\n") == (code, out)


PATCHES = {
    "gevent": "import gevent.monkey; gevent.monkey.patch_all()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
}


@pytest.mark.parametrize("library", PATCHES)
def test_pings_where_threads_are_greenlets(folder, run_apart, library):
    """Services of an application that gevent or eventlet has patched can be pinged."""
    (folder / "green.py").write_text(
        f"import warnings; warnings.simplefilter('ignore')\n{PATCHES[library]}\n"
        "import time\n"
        "from wares import Registry\n"
        "async def check(_): ...\n"
        "registry = Registry()\n"
        "registry.register_value(int, 1, ping=lambda _: time.sleep(0.05))\n"
        "registry.register_value(str, 's', ping=check)\n",
        "utf-8",
    )
    process = run_apart("ping", "green:registry", "--timeout", "30")
    out, err = process.communicate(timeout=60)

    assert 0 == process.returncode, err
    assert 2 == out.count("✓")


class TestItself:
    """The command as such."""

    def test_pre_commit(self, call, monkeypatch):
        """The hook for pre-commit runs `wares check` once, for any changed files."""
        (hook,) = yaml.safe_load(
            (Path(__file__).parent.parent / ".pre-commit-hooks.yaml").read_text("utf-8")
        )

        code, *_ = call(*hook["entry"].split()[1:], "shop:registry")

        assert ("wares-check", False) == (hook["id"], hook["pass_filenames"])
        assert 0 == code

    def test_as_a_module(self, run_apart):
        """`python -m wares` is the command."""
        process = run_apart("check", "shop:registry")
        out, err = process.communicate(timeout=60)

        assert (0, "") == (process.returncode, err)
        assert "1 service, no problem" in out

    def test_help(self, call):
        """`--help` tells what a target is, and `--version` the version."""
        code, out, _ = call("--help")

        assert 0 == code
        assert "module:attribute" in out
        assert {"check", "graph", "list", "ping"} <= set(out.split())

    @pytest.mark.parametrize("package", ["click", "rich"])
    def test_without_its_packages(self, monkeypatch, package):
        """Without click and rich it says what to install."""
        from wares.__main__ import main

        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(SystemExit) as caught:
            main()

        assert f"needs {package}" in str(caught.value)
        assert "pip install 'wares[cli]'" in str(caught.value)


def read_terminal(terminal) -> str:
    """Read all that comes from a terminal until its other side is closed."""
    text = io.BytesIO()
    # On Linux it is an error to read from a terminal whose other side is closed.
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 1024):
            text.write(chunk)
    return text.getvalue().decode("utf-8")
