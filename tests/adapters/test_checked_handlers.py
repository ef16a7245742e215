"""`wares check` sees what the handlers of each framework ask for."""

import importlib.util
import re
import sys
import textwrap

import pytest

from wares.__main__ import main

BEGINNING = """
from wares import Inject, Registry, inject

class Missing:
    def __init__(self, anything: complex): ...

def make():
    registry = Registry()
    registry.register_value(int, 1)
    return registry
"""

APPLICATIONS = {
    "aiohttp": """
        from aiohttp import web
        from wares.aiohttp import init_app

        @inject
        async def handle(request, missing: Inject[Missing]): ...

        app = init_app(web.Application(), registry=make())
        app.add_routes([web.get("/", handle)])
    """,
    "aiohttp_sub_application": """
        from aiohttp import web
        from wares.aiohttp import init_app

        class Inner(web.View):
            @inject
            async def handle(self, missing: Inject[Missing]): ...

            get = handle

        inner = web.Application()
        inner.add_routes([web.view("/", Inner)])
        app = init_app(web.Application(), registry=make())
        app.add_subapp("/inner", inner)
    """,
    "celery": """
        from celery import Celery
        from wares.celery import init_app

        app = init_app(Celery("shop", broker="memory://"), registry=make())

        @app.task(shared=False)
        def handle(text, missing: Inject[Missing]): ...
    """,
    "click": """
        import click
        from wares.click import with_container

        @click.group()
        @click.option("--path", required=True)
        def app(path):
            raise SystemExit("The program was run.")

        @app.command()
        @click.argument("text", callback=lambda *_: 1 / 0)
        @with_container(make)
        def handle(text, missing: Inject[Missing]):
            raise SystemExit("The program was run.")
    """,
    "click_injected": """
        import click

        registry = make()

        @click.command()
        @inject(registry=registry)
        def app(missing: Inject[Missing]):
            raise SystemExit("The program was run, not handled.")
    """,
    "fastapi": """
        from fastapi import FastAPI
        from wares.fastapi import lifespan

        @lifespan
        async def start(app, registry):
            registry.register_value(int, 1)
            yield

        app = FastAPI(lifespan=start)

        @app.get("/")
        async def handle(missing: Inject[Missing]): ...
    """,
    "faststream": """
        from faststream import FastStream
        from faststream.nats import NatsBroker
        from wares.faststream import init_app

        broker = NatsBroker()
        app = init_app(FastStream(broker), registry=make())

        @broker.subscriber("orders")
        async def handle(text: str, missing: Inject[Missing]): ...
    """,
    "flask": """
        from flask import Flask
        from wares.flask import init_app

        app = init_app(Flask("shop"), registry=make())

        @app.get("/")
        @inject
        def handle(missing: Inject[Missing]): ...
    """,
    "flask_command": """
        from flask import Flask
        from flask.cli import AppGroup
        from wares.flask import init_app

        app = init_app(Flask("shop"), registry=make())
        users = AppGroup("users")
        app.cli.add_command(users)

        @users.command("add")
        @inject
        def handle(missing: Inject[Missing]): ...
    """,
    "litestar": """
        from litestar import Litestar, get
        from wares.litestar import WaresPlugin

        @get("/")
        @inject
        async def handle(missing: Inject[Missing]) -> str: ...

        app = Litestar([handle], plugins=[WaresPlugin(registry=make())], logging_config=None)
    """,
    "socketio": """
        from socketio import AsyncServer
        from wares.socketio import init_app

        app = init_app(AsyncServer(async_mode="asgi"), make())

        @app.event
        async def handle(sid, missing: Inject[Missing]): ...
    """,
    "starlette": """
        from starlette.applications import Starlette
        from starlette.routing import Route
        from wares.starlette import lifespan

        @lifespan
        async def start(app, registry):
            registry.register_value(int, 1)
            yield

        @inject
        async def handle(request, missing: Inject[Missing]): ...

        app = Starlette(routes=[Route("/", handle)], lifespan=start)
    """,
    "taskiq": """
        from taskiq import InMemoryBroker
        from wares.taskiq import init_broker

        app = init_broker(InMemoryBroker(), registry=make())

        @app.task
        async def handle(text: str, missing: Inject[Missing]): ...
    """,
    "typer": """
        import typer
        from wares.click import with_container

        app = typer.Typer()
        registry = make()

        @app.command()
        @with_container(registry)
        async def handle(text: str, missing: Inject[Missing]):
            raise SystemExit("The program was run.")
    """,
    "typer_group": """
        import typer
        from wares.click import with_container

        inner = typer.Typer()

        @inner.command()
        @with_container(make)
        def handle(text: str, missing: Inject[Missing]):
            raise SystemExit("The program was run.")

        @inner.command()
        @with_container(make)
        def other(context: typer.Context, given: Inject[typer.Context]):
            raise SystemExit("The program was run.")

        def app():
            outer = typer.Typer()
            outer.add_typer(inner, name="inner")
            return outer
    """,
}

#: An application of Flask that calls a function, which is no view, of a blueprint.
AROUND = """
        from flask import Blueprint, Flask
        from wares.flask import init_app

        blueprint = Blueprint("orders", __name__)

        @blueprint.{register}
        @inject
        def handle(*args, missing: Inject[Missing]): ...

        def app():
            app = init_app(Flask("shop"), registry=make())
            app.register_blueprint(blueprint)
            return app
"""
for register in (
    "before_request",
    "after_request",
    "teardown_request",
    "context_processor",
    "errorhandler(404)",
    "errorhandler(ValueError)",
    "before_app_request",
    "cli.command()",
):
    name = re.sub(r"\W", "_", f"flask_{register}")
    APPLICATIONS[name] = AROUND.replace("{register}", register)

SERVER = """
        from wares.mcp import WaresMiddleware, lifespan

        @lifespan
        async def start(server, registry):
            registry.register_value(int, 1)
            yield

        app = Server("shop", lifespan=start, middleware=[WaresMiddleware()])

        @app.{kind}
        @inject
        def handle(missing: Inject[Missing]) -> str: ...
"""

#: What MCP's servers have; with the oldest versions, they are not installed.
KINDS = {
    "tool": "tool()",
    "resource": "resource('shop://books')",
    "template": "resource('shop://books/{title}')",
    "prompt": "prompt()",
}
if importlib.util.find_spec("fastmcp"):
    for name, line in {
        "fastmcp": "from fastmcp import FastMCP as Server",
        "sdk": "from mcp.server.mcpserver import MCPServer as Server",
    }.items():
        for kind, call in KINDS.items():
            server = SERVER.replace("{kind}", call)
            if kind == "template":
                server = server.replace("handle(missing", "handle(title: str, missing")
            APPLICATIONS[f"{name}_{kind}"] = f"        {line}\n{server}"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a command of `wares` on an application; return the exit code and the output."""

    def run(command, name, source):
        module = f"checked_{name}"
        (tmp_path / f"{module}.py").write_text(BEGINNING + textwrap.dedent(source), "utf-8")
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
        monkeypatch.setattr(sys, "argv", ["wares", command, f"{module}:app"])
        with pytest.raises(SystemExit) as caught:
            main()
        sys.modules.pop(module, None)
        output = capsys.readouterr()
        return caught.value.code, output.out + output.err

    return run


@pytest.mark.parametrize("name", APPLICATIONS)
def test_what_a_handler_misses(run, name):
    """A service that a handler asks for and nothing registers is found, with the handler."""
    code, text = run("check", name, APPLICATIONS[name])

    assert 1 == code
    assert "Nothing is registered for Missing" in text
    assert "handle" in text
    assert f"checked_{name}.py:" in text


@pytest.mark.parametrize("name", APPLICATIONS)
def test_what_a_handler_needs(run, name):
    """A service that only handlers ask for counts as needed."""
    needs_number = APPLICATIONS[name].replace("Inject[Missing]", "Inject[int]")

    code, text = run("check", name, needs_number)

    assert (0, "✓ 1 service, no problem\n") == (code, text)


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_graph_of_what_would_not_start(run, name):
    """The graph of an application whose handlers miss something can be drawn."""
    code, text = run("graph", name, APPLICATIONS[name])

    assert 0 == code
    assert "1 problem of handlers, not drawn" in text


PROGRAM = """
    import click
    from wares.click import with_container

    def make_other():
        other = make()
        other.register_value(str, "")
        return other

    @click.group()
    def app():
        raise SystemExit("The program was run.")

    @app.command()
    def plain():
        raise SystemExit("The program was run.")
"""


ASYNCHRONOUS = """
class Needy:
    def __init__(self, missing: Missing): ...

async def connect():
    yield

def make():
    registry = Registry()
    registry.register_factory(Missing, connect{options})
    registry.register_factory(Needy, Needy)
    return registry
"""


def make_synchronous(name, options=""):
    """Give an application whose synchronous handler needs an asynchronous service."""
    source = textwrap.dedent(APPLICATIONS[name]).replace("async def handle", "def handle")
    asking = source.replace("Inject[Missing]", "Inject[Needy]")
    return ASYNCHRONOUS.format(options=options) + asking


@pytest.mark.parametrize("name", ["faststream", "flask", "taskiq"])
def test_what_a_handler_cannot_await(run, name):
    """A synchronous handler that needs an asynchronous service is found."""
    code, text = run("check", name, make_synchronous(name))

    assert 1 == code
    assert "Cannot get Missing synchronously: its factory, connect (" in text
    assert "Needy -> Missing" in text
    assert "Write `async def handle" in text


@pytest.mark.parametrize("name", ["celery", "click", "typer_group"])
def test_what_an_adapter_awaits(run, name):
    """Some adapters await the services of synchronous functions."""
    code, text = run("check", name, make_synchronous(name))

    assert (0, "✓ 2 services, no problem\n") == (code, text)


@pytest.mark.parametrize("name", ["faststream", "taskiq"])
def test_what_is_made_at_the_start(run, name):
    """A synchronous handler may need an asynchronous singleton that the start has made."""
    options = ', lifetime="singleton", eager=True'
    code, text = run("check", name, make_synchronous(name, options))

    assert (0, "✓ 2 services, no problem\n") == (code, text)


def test_a_program_with_several_registries(run):
    """If the commands of a program have several registries, the target must be one of them."""
    commands = "".join(
        f"\n@app.command()\n@with_container({make})\ndef {make}_it(number: Inject[int]): ...\n"
        for make in ("make", "make_other")
    )

    code, text = run("check", "several", textwrap.dedent(PROGRAM) + commands)

    assert 2 == code
    assert "several registries. Name one of them" in " ".join(text.split())


def test_a_program_without_a_registry(run):
    """A program none of whose commands has a container is not run either."""
    code, text = run("check", "plain", PROGRAM)

    assert 2 == code
    assert "There is no registry on the Group" in text


def test_a_registry_that_needs_the_context(run):
    """The function that makes a registry finds the program's context, with its defaults."""
    source = PROGRAM.replace("def app():", "def app(path):").replace(
        "@click.group()", "@click.group()\n    @click.option('--path', default='shop.db')"
    )
    command = """
def open_shop():
    registry = Registry()
    registry.register_value(str, click.get_current_context().find_root().params["path"])
    return registry

@app.command()
@with_container(open_shop)
def show(path: Inject[str]): ...
"""

    code, text = run("check", "context", textwrap.dedent(source) + command)

    assert (0, "✓ 1 service, no problem\n") == (code, text)
