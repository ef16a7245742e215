"""Click and Typer: what `AdapterConformance` does not say, with their own runners."""

import asyncio
import subprocess
import sys
from typing import Annotated

import click
import click.testing
import pytest
import typer
import typer.testing

from tests.adapters.serving import Journal, Session, open_session_sync
from wares import (
    Depends,
    Inject,
    InvalidRegistrationError,
    InvalidRegistryError,
    NoContainerError,
    Registry,
    RegistryClosedError,
    current_container,
)
from wares.__main__ import main
from wares.click import with_container


class Connection:
    """A service that has to be awaited."""

    def __init__(self, loop):
        self.loop = loop


async def open_connection(journal: Journal):
    """Open a connection, which must be closed in the same event loop."""
    connection = Connection(asyncio.get_running_loop())
    yield connection
    is_same = asyncio.get_running_loop() is connection.loop
    journal.append("closed" if is_same else "closed elsewhere")


@pytest.fixture
def make_registry(journal):
    """Makes a registry for each invocation."""

    def make():
        registry = Registry()
        registry.register_value(Journal, journal)
        registry.register_factory(Session, open_session_sync)
        registry.register_factory(Connection, open_connection, lifetime="singleton")
        return registry

    return make


def run_click(command, *args):
    """Run a command of Click; give its exit code and output."""
    result = click.testing.CliRunner().invoke(command, args)
    return result.exit_code, result.output


def run_typer(app, *args):
    """Run an application of Typer; give its exit code and output."""
    result = typer.testing.CliRunner().invoke(app, args)
    return result.exit_code, result.output


class TestClick:
    def test_shows_what_remains(self, make_registry, journal):
        """Injected parameters are no parameters of the command; Click fills the others."""

        @click.command()
        @click.argument("name")
        @click.option("--times", default=1)
        @with_container(make_registry)
        def greet(name: str, session: Inject[Session], times: int):
            click.echo(session.work(name * times))

        assert (0, "adaada\n") == run_click(greet, "ada", "--times", "2")
        assert ["open", "adaada", "commit"] == journal

    @pytest.mark.parametrize("code", [0, 3])
    @pytest.mark.parametrize("kind", ["click", "python", "context"])
    def test_exits(self, make_registry, journal, kind, code):
        """An exit with code 0 is success, another one is failure, and arrives."""

        @click.command()
        @click.pass_context
        @with_container(make_registry)
        def leave(context, session: Inject[Session]):
            if kind == "python":
                sys.exit(code)
            if kind == "context":
                context.exit(code)
            raise click.exceptions.Exit(code)

        assert code == run_click(leave)[0]
        assert ["open", "commit" if code == 0 else "rollback"] == [
            what.partition(" ")[0] for what in journal
        ]

    @pytest.mark.parametrize("code", [0, 3])
    @pytest.mark.parametrize("is_async", [False, True])
    def test_an_exit_of_the_context(self, journal, is_async, code):
        """`context.exit` ends the services of the command first, then the singletons.

        Click closes the context, to which the registry belongs, before it raises the exit.
        """

        def make():
            registry = Registry()
            registry.register_value(Journal, journal)
            registry.register_factory(Connection, open_connection, lifetime="singleton")
            registry.register_factory(Session, begin)
            return registry

        async def begin(connection: Connection):
            try:
                yield Session(journal)
            except click.exceptions.Exit:
                journal.append("rollback")
                raise
            journal.append("commit")

        def leave(context, session: Inject[Session]):
            context.exit(code)

        async def leave_later(context, session: Inject[Session]):
            context.exit(code)

        function = leave_later if is_async else leave
        command = click.command()(click.pass_context(with_container(make)(function)))

        assert (code, "") == run_click(command)
        assert ["commit" if code == 0 else "rollback", "closed"] == journal

    @pytest.mark.parametrize(
        ("arguments", "code", "end"),
        [((), 0, "commit"), ((False,), 0, "commit"), (("",), 1, "rollback SystemExit")],
    )
    def test_an_exit_that_says_nothing(self, make_registry, journal, arguments, code, end):
        """`sys.exit()` without a code is success; an empty message is failure, as in Python."""

        @click.command()
        @with_container(make_registry)
        def leave(session: Inject[Session]):
            sys.exit(*arguments)

        assert code == run_click(leave)[0]
        assert ["open", end] == journal

    @pytest.mark.parametrize("error", [click.Abort(), click.UsageError("no"), LookupError()])
    def test_failures(self, make_registry, journal, error):
        """Errors that Click answers roll back like all others."""

        @click.command()
        @with_container(make_registry)
        def fail(session: Inject[Session]):
            raise error

        assert 0 != run_click(fail)[0]
        assert ["open", f"rollback {type(error).__name__}"] == journal

    def test_groups(self, make_registry):
        """A group and its commands have containers of their own on one registry."""
        seen = []

        @click.group()
        @with_container(make_registry)
        def shop():
            seen.append(current_container())

        @shop.command()
        @with_container(make_registry)
        def order():
            seen.append(current_container())

        assert 0 == run_click(shop, "order")[0]
        assert seen[0] is not seen[1]
        assert seen[0].registry is seen[1].registry
        with pytest.raises(RegistryClosedError):
            seen[0].registry.container()

    def test_groups_whose_commands_have_another_registry(self, make_registry):
        """Each function makes a registry of its own, and all of them end with the program."""
        seen = []

        def make_another():
            return make_registry()

        @click.group()
        @with_container(make_registry)
        def shop():
            seen.append(current_container().registry)

        @shop.command()
        @with_container(make_another)
        def order():
            seen.append(current_container().registry)

        assert 0 == run_click(shop, "order")[0]
        assert seen[0] is not seen[1]
        for registry in seen:
            with pytest.raises(RegistryClosedError):
                registry.container()

    def test_commands_within_commands(self, make_registry):
        """A command that another one invokes has a container of its own."""
        seen = []

        @click.command()
        @with_container(make_registry)
        def inner():
            seen.append(current_container())

        @click.command()
        @click.pass_context
        @with_container(make_registry)
        def outer(context):
            context.invoke(inner)
            seen.append(current_container())

        assert 0 == run_click(outer)[0]
        assert seen[0] is not seen[1]

    def test_for_what_has_to_be_awaited(self, make_registry, journal):
        """A command has services that must be awaited, which end in the same event loop."""

        @click.command()
        @with_container(make_registry)
        def work(connection: Inject[Connection], session: Inject[Session]):
            session.work("running" if connection.loop.is_running() else "not running")

        assert (0, "") == run_click(work)
        assert ["open", "not running", "commit", "closed"] == journal

    def test_asynchronous(self, make_registry, journal):
        """A command may be asynchronous: it is run, in the loop of its services."""

        @click.command()
        @with_container(make_registry)
        async def work(connection: Inject[Connection], session: Inject[Session]):
            await asyncio.sleep(0)
            session.work("running" if connection.loop.is_running() else "not running")

        assert (0, "") == run_click(work)
        assert ["open", "running", "commit", "closed"] == journal

    def test_checks_the_registry(self, make_registry):
        """A command does not run if it asks for a service that is not registered."""

        @click.command()
        @with_container(make_registry)
        def work(missing: Inject[complex]):
            """Never be reached."""

        result = click.testing.CliRunner().invoke(work)

        assert isinstance(result.exception, InvalidRegistryError)
        assert "complex" in str(result.exception)

    def test_without_a_context(self, make_registry, journal):
        """A function that is called by itself is served, too."""

        @with_container(make_registry)
        def work(text: str, session: Inject[Session], connection: Inject[Connection]):
            return session.work(text)

        assert "one" == work("one")
        assert ["open", "one", "commit", "closed"] == journal

    def test_of_a_registry_that_lasts(self, make_registry, journal):
        """A registry that is given lasts as long as the program."""
        program = (
            "import click, wares, wares.click\n"
            "registry = wares.Registry()\n"
            "registry.register_value(int, 3, on_registry_close=lambda: print('closed'))\n"
            "@click.command()\n"
            "@wares.click.with_container(registry)\n"
            "def tell(number: wares.Inject[int]):\n"
            "    print(number)\n"
            "tell(standalone_mode=False)\n"
            "tell(standalone_mode=False)\n"
        )
        answer = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )

        assert "3\n3\nclosed\n" == answer.stdout


class TestTyper:
    def test_shows_what_remains(self, make_registry, journal):
        """Typer reads what remains of the signature."""
        app = typer.Typer()

        @app.command()
        @with_container(make_registry)
        def greet(
            name: str,
            session: Inject[Session],
            times: Annotated[int, typer.Option()] = 1,
            word: Annotated[str, Depends(lambda: "hello")] = "",
        ):
            typer.echo(session.work(f"{word} {name * times}"))

        assert (0, "hello adaada\n") == run_typer(app, "ada", "--times", "2")
        assert "session" not in run_typer(app, "--help")[1].lower()
        assert ["open", "hello adaada", "commit"] == journal

    @pytest.mark.parametrize(
        ("error", "end"),
        [
            (typer.Exit(), "commit"),
            (typer.Exit(2), "rollback Exit"),
            (typer.Abort(), "rollback Abort"),
        ],
    )
    def test_exits(self, make_registry, journal, error, end):
        """Typer's own exits count like Click's."""
        app = typer.Typer()

        @app.command()
        @with_container(make_registry)
        def leave(session: Inject[Session]):
            raise error

        run_typer(app)

        assert ["open", end] == journal

    def test_asynchronous(self, make_registry, journal):
        """Typer runs no asynchronous command by itself; this does."""
        app = typer.Typer()

        @app.command()
        @with_container(make_registry)
        async def work(context: typer.Context, session: Inject[Session]):
            await asyncio.sleep(0)
            session.work(str(current_container().get(typer.Context) is context))

        assert (0, "") == run_typer(app)
        assert ["open", "True", "commit"] == journal


def test_without_a_public_name_for_the_context(make_registry, monkeypatch, journal):
    """If the context of Typer cannot be found, commands run without it."""
    pytest.importorskip("typer._click", reason="this Typer uses Click, which documents how")
    monkeypatch.delattr("typer._click.globals.get_current_context")
    app = typer.Typer()

    @app.command()
    @with_container(make_registry)
    def work(session: Inject[Session]):
        session.work(str(typer.Context in current_container()))

    assert 0 == run_typer(app)[0]
    assert ["open", "False", "commit"] == journal


class TestMisuse:
    """Each mistake says what to write."""

    def test_without_a_registry(self):
        """The decorator needs a registry; without arguments, it takes the function for one."""
        with pytest.raises(InvalidRegistrationError, match=r"@with_container\(make_registry\)"):

            @with_container
            def work(session: Inject[Session]):
                """Never be reached."""

    def test_without_a_registry_or_parameters(self):
        """A function without parameters might make a registry; the command is never run."""

        @click.command()
        @with_container
        def work():
            """Never be reached."""

        with pytest.raises(InvalidRegistrationError, match=r"@with_container\(make_registry\)"):
            click.testing.CliRunner().invoke(work, catch_exceptions=False)

    def test_with_something_else(self):
        """An object that is neither a registry nor a function that makes one is refused."""
        with pytest.raises(InvalidRegistrationError, match="takes a registry"):
            with_container("x")

    def test_an_option_with_the_name_of_a_service(self, make_registry, monkeypatch, capsys):
        """The command does not run: Click would pass the option in the place of the service."""

        @click.command()
        @click.option("--session")
        @with_container(make_registry)
        def work(session: Inject[Session]):
            """Never be reached."""

        monkeypatch.setattr(sys.modules[__name__], "program", work, raising=False)
        monkeypatch.setattr(sys, "argv", ["wares", "check", f"{__name__}:program"])
        with pytest.raises(InvalidRegistryError, match="has 1 problem") as caught:
            click.testing.CliRunner().invoke(work, catch_exceptions=False)
        with pytest.raises(SystemExit):
            main()

        message = "an option or an argument of the command has the same name"
        assert message in str(caught.value)
        assert message in capsys.readouterr().err.replace("\n", " ")

    def test_above_the_command(self, make_registry):
        """`with_container` above the command is refused."""
        with pytest.raises(InvalidRegistrationError, match="below the decorators"):

            @with_container(make_registry)
            @click.command()
            def work():
                """Never be reached."""

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: None, r"test_click.py:\d+\) returned None.*Is its `return` missing"),
            (lambda: Registry().container(), "returned a Container, not a Registry."),
        ],
        ids=["None", "Container"],
    )
    def test_what_makes_something_else(self, make, message):
        """A function that does not return a registry is an error."""

        @click.command()
        @with_container(make)
        def work():
            """Never be reached."""

        with pytest.raises(InvalidRegistrationError, match=message):
            click.testing.CliRunner().invoke(work, catch_exceptions=False)


class TestEdgeCases:
    @pytest.mark.parametrize("option", ["--help", "--unknown"])
    def test_nothing_is_made_for_help_or_a_usage_error(self, option):
        """Help and usage errors need no registry."""

        @click.command()
        @with_container(pytest.fail)
        def work(session: Inject[Session]):
            """Never be reached."""

        run_click(work, option)

    def test_what_a_group_leaves_for_its_commands(self, make_registry):
        """The services of a group have ended when its command runs."""

        @click.group()
        @click.pass_context
        @with_container(make_registry)
        def shop(context, session: Inject[Session]):
            context.obj = session

        @shop.command()
        @click.pass_obj
        def order(session):
            click.echo(session.is_open)

        assert (0, "False\n") == run_click(shop, "order")

    def test_the_callback_of_an_option(self, make_registry):
        """Click calls it before the command, so it has no container."""

        def look(context, parameter, value):
            with pytest.raises(NoContainerError):
                current_container()

        @click.command()
        @click.option("--name", callback=look)
        @with_container(make_registry)
        def work(name):
            """Have a container."""

        assert (0, "") == run_click(work, "--name", "ada")

    def test_a_chain(self, make_registry, journal):
        """Each command of a chain has a container, and so has the callback for the results."""

        @click.group(chain=True)
        def shop():
            """Do nothing."""

        @shop.command()
        @with_container(make_registry)
        async def order(session: Inject[Session]):
            return session.work("order")

        @shop.result_callback()
        @with_container(make_registry)
        def sum_up(results, session: Inject[Session]):
            session.work(str(results))

        assert 0 == run_click(shop, "order")[0]
        assert ["open", "order", "commit", "open", "['order']", "commit"] == journal

    @pytest.mark.parametrize("kind", ["synchronous", "asynchronous"])
    def test_an_interruption(self, make_registry, journal, kind):
        """Pressing Ctrl-C rolls back."""

        @click.command()
        @with_container(make_registry)
        def work(session: Inject[Session]):
            raise KeyboardInterrupt

        @click.command()
        @with_container(make_registry)
        async def awork(session: Inject[Session]):
            raise KeyboardInterrupt

        assert 1 == run_click(work if kind == "synchronous" else awork)[0]
        assert ["open", "rollback KeyboardInterrupt"] == journal

    async def test_in_an_event_loop(self, make_registry):
        """In an event loop, such as in an async test, async commands and services cannot run."""

        @click.command()
        @with_container(make_registry)
        async def work():
            """Never be reached."""

        answer = click.testing.CliRunner().invoke(work)

        assert isinstance(answer.exception, RuntimeError)
        assert "asyncio.to_thread" in str(answer.exception)

    def test_an_override(self, make_registry):
        """A registry that is passed to the decorator takes overrides."""
        registry = make_registry()

        @click.command()
        @with_container(registry)
        def work(session: Inject[Session]):
            click.echo(session)

        with registry.override_value(Session, "fake"):
            assert (0, "fake\n") == run_click(work)

    def test_typer_without_the_decorator(self):
        """Nothing tells Typer that a parameter is a service: it is one of the command line."""
        app = typer.Typer()

        @app.command()
        def work(text: Inject[str]):
            """Never be reached."""

        code, output = run_typer(app)

        assert 2 == code
        assert "Missing argument" in output
