"""What `wares.click` promises to type checkers; read by them, not run."""

import click
import typer

from wares import Inject, Registry
from wares.click import with_container


def make_registry() -> Registry:
    """Make a registry."""
    return Registry()


@click.command()
@with_container(make_registry)
def greet(name: str, number: Inject[int]) -> None:
    """Be a command of Click."""


app = typer.Typer()


@app.command()
@with_container(Registry())
async def welcome(name: str, number: Inject[int]) -> None:
    """Be a command of Typer."""


with_container(3)  # type: ignore[arg-type]  # no registry
