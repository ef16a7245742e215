"""Click and Typer, with the runner of each."""

import contextlib

import click
import click.testing
import typer
import typer.testing

from wares import current_container
from wares.click import with_container
from wares.testing import AdapterConformance


class TestClick(AdapterConformance):
    adapter = "wares.click"
    makes_eager = False
    given = (click.Context,)
    has_async_services = False

    @contextlib.contextmanager
    def serve(self, registry, work):
        @click.command()
        @with_container(lambda: registry)
        def do():
            click.echo(work.run(current_container()))

        # One invocation after the other, in a context that ends with the application.
        with click.Context(do):
            yield do

    def perform(self, served):
        with contextlib.suppress(Exception):
            served.main(
                [], standalone_mode=False, parent=click.get_current_context(silent=True)
            )


class TestAsynchronousCommands(TestClick):
    has_async_services = True

    @contextlib.contextmanager
    def serve(self, registry, work):
        @click.command()
        @with_container(lambda: registry)
        async def do():
            click.echo(await work.arun(current_container()))

        with click.Context(do):
            yield do


class TestTyper(AdapterConformance):
    adapter = "wares.click"
    makes_eager = False
    given = (typer.Context,)
    has_async_services = False

    @contextlib.contextmanager
    def serve(self, registry, work):
        app = typer.Typer()
        app.command()(with_container(registry)(self.make_command(work)))
        yield app
        registry.close()

    def make_command(self, work):
        def do():
            typer.echo(work.run(current_container()))

        return do

    def perform(self, served):
        with contextlib.suppress(Exception):
            served([], standalone_mode=False)


class TestAsynchronousCommandsOfTyper(TestTyper):
    has_async_services = True

    def make_command(self, work):
        async def do():
            typer.echo(await work.arun(current_container()))

        return do
