"""The command line: `wares` and `python -m wares`."""

import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import wares

SHOP = """
import asyncio
import time
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
import wares.asgi, wares.fastapi, wares.flask, wares.starlette
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
silent = Registry()

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
import wares.socketio
sio = wares.socketio.init_app(socketio.AsyncServer(async_mode="asgi"), registry)
sio_app = socketio.ASGIApp(sio)

def make():
    return fastapi

async def make_later():
    return register(Registry())

class Factory:
    registry = register(Registry())

async def broken_start(app, registry):
    raise RuntimeError("no such port")
    yield

broken = Starlette(lifespan=wares.starlette.lifespan(broken_start))

async def says_no(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "not today"})

async def raises(scope, receive, send):
    raise ValueError("no lifespan here")

nothing = Starlette()
number = 5
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with the modules of a shop."""
    (tmp_path / "shop.py").write_text(SHOP, "utf-8")
    (tmp_path / "lacking.py").write_text("import nowhere_to_be_found", "utf-8")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("", "utf-8")
    return tmp_path


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
    for name in {"shop", "lacking", "package"} - modules:
        sys.modules.pop(name, None)


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
]


class TestTargets:
    """What `module:attribute` may name."""

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
            ("shop", "'shop' names no application. Write the module and the attribute"),
            (":app", "names no application"),
            ("shop:", "names no application"),
            ("nowhere:app", "There is no module 'nowhere'"),
            ("package.nowhere:app", "There is no module 'package.nowhere'"),
            ("shop:fastap", "'shop' has no attribute 'fastap'. Near it there is 'fastapi'"),
            ("shop:xyzzy", "'shop' has no attribute 'xyzzy'."),
            ("shop:nothing", "There is no registry on the Starlette"),
            ("shop:number", "There is no registry on the int"),
            ("shop:raises", "There is no registry on the function"),
            ("shop:Database", "There is no registry on the Database"),
        ],
    )
    def test_wrong_ones(self, call, target, message):
        """What is wrong with a target is said in words, with the code for wrong usage."""
        code, _, err = call("check", target)

        assert 2 == code
        assert message in " ".join(err.split())
        assert "Traceback" not in err

    def test_a_module_that_cannot_be_imported(self, call):
        """What a module lacks itself is shown as Python shows it."""
        code, _, err = call("check", "lacking:app")

        assert 1 == code
        assert "Traceback" in err
        assert "nowhere_to_be_found" in err

    def test_an_application_that_does_not_start(self, call):
        """The exception that kept it from starting is shown."""
        code, _, err = call("check", "shop:broken")

        assert 1 == code
        assert "RuntimeError: no such port" in err

    def test_an_application_that_says_no(self, call):
        """An application may say why it does not start without raising."""
        code, _, err = call("check", "shop:says_no")

        assert 2 == code
        assert "not today" in err


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
        """What a view of Flask asks for by `inject`, and nobody has registered, is shown."""
        code, _, err = call("check", "shop:asking")

        assert 1 == code
        assert "Nothing is registered for 'missing'." in err
        assert "ask (" in err

    def test_many_services(self, call):
        """They are counted."""
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
        """It is written in each format; Mermaid unless told otherwise."""
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
        """The file's name tells the format, unless it is told otherwise."""
        code, out, _ = call("graph", "shop:registry", "-o", name, *options)

        assert (0, "") == (code, out)
        assert (folder / name).read_text("utf-8").startswith(begins)

    def test_a_title(self, call):
        """A page has the title that it is given."""
        _, out, _ = call("graph", "shop:registry", "-f", "html", "--title", "The shop")

        assert "<h1>The shop</h1>" in out

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
        """A failing service is shown with its error, and the code is that of a failure."""
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

    def test_watching(self, folder):
        """It pings again and again until it is interrupted, and ends the application then."""
        process = run_apart(folder, "ping", "shop:fastapi", "--watch", "0.01")
        seen = 0
        for line in process.stdout:
            seen += "Database" in line
            if seen == 3:
                break
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=20)

        assert 130 == process.returncode
        assert "ended" in rest

    def test_on_a_terminal(self, folder):
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
        process = run_apart(folder, "ping", "slow:registry", stdout=theirs)
        os.close(theirs)
        text = read_terminal(ours)
        os.close(ours)
        process.communicate(timeout=20)

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
        """A value has no lifetime of its own, and what is missing is told."""
        _, out, _ = call("list", "shop:failing")
        _, missing, _ = call("list", "shop:invalid")

        assert "scoped" not in out
        assert "missing" in missing


class TestItself:
    """The command as such."""

    def test_as_a_module(self, folder):
        """`python -m wares` is the command."""
        process = run_apart(folder, "check", "shop:registry")
        out, err = process.communicate(timeout=20)

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


def run_apart(folder, *arguments, stdout=subprocess.PIPE):
    """Run the command in another interpreter."""
    return subprocess.Popen(
        [sys.executable, "-m", "wares", *arguments],
        cwd=folder,
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={
            **os.environ,
            "PYTHONIOENCODING": "utf-8",
            "PYTHONPATH": str(Path(wares.__file__).parents[1]),
            "TERM": "xterm",
        },
    )


def read_terminal(terminal) -> str:
    """Read all that comes from a terminal."""
    text = io.BytesIO()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            chunk = os.read(terminal, 1024)
        except OSError:
            # The other side is closed.
            break
        text.write(chunk)
    return text.getvalue().decode("utf-8")
