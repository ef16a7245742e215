"""What the command line can do: check, graph, ping, list.

This module knows click and rich: arguments, tables, exit codes. It must not know frameworks, nor
how pings are run or graphs are drawn.
"""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from wares._adapters.applications import find_views
from wares._core.container import Container
from wares._graph.graph import Graph, Node
from wares._inject.injected import find_missing
from wares._core.pings import ServicePing
from wares._core.container import Registry
from wares._cli.targets import TargetError, load, open_registry
from wares.exceptions import InvalidRegistryError, raise_problems
from wares.health import ServiceHealth, arun_ping, choose_pings, describe_error

__all__ = ["commands"]

#: How wide tables are where the output is no terminal, and nothing needs to be folded.
_WIDTH_OF_FILES = 240

#: How a graph is written.
_WRITERS: Mapping[str, Callable[[Graph, str], str]] = {
    "mermaid": lambda graph, _: graph.to_mermaid(),
    "dot": lambda graph, _: graph.to_dot(),
    "html": Graph.to_html,
    "json": lambda graph, _: json.dumps(graph.to_dict(), indent=2) + "\n",
}

#: The format that a file's name stands for.
_SUFFIXES = {
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".dot": "dot",
    ".gv": "dot",
    ".html": "html",
    ".json": "json",
}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wares")
def commands() -> None:
    """Look at the services of an application.

    TARGET is `module:attribute`: a registry; an application, which is started; or a function that
    makes one of them.
    """


@commands.command()
@click.argument("target")
def check(target: str) -> None:
    """Check that all services can be made; exit with 1 if not."""

    async def check_registry(registry: Registry, app: object) -> int:
        problems = [*registry.graph().problems, *find_missing(find_views(app), registry)]
        raise_problems("The registry has", problems)
        count = len(list(registry))
        services = "1 service" if count == 1 else f"{count} services"
        _console().print(f"[green]✓[/] {services}, no problem")
        return 0

    _run(target, check_registry)


@commands.command()
@click.argument("target")
@click.option(
    "--format",
    "-f",
    "form",
    type=click.Choice(list(_WRITERS)),
    help="What to write; by default what the file's name says, or else mermaid.",
)
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Where to write it."
)
@click.option(
    "--title", default="Services", show_default=True, help="What stands above a page."
)
def graph(target: str, form: str | None, output: Path | None, title: str) -> None:
    """Draw what needs what."""
    suffix = "" if output is None else output.suffix
    write = _WRITERS[form or _SUFFIXES.get(suffix, "mermaid")]

    async def draw(registry: Registry, _app: object) -> int:
        _write(write(registry.graph(), title), output)
        return 0

    _run(target, draw)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, "utf-8")


@commands.command()
@click.argument("target")
@click.option(
    "--tag", "tags", multiple=True, help="Ping services with this tag only; repeatable."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    help="Seconds that a ping may take which has no limit of its own.",
)
@click.option(
    "--watch",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Ping again after so many seconds, until interrupted.",
)
def ping(target: str, tags: tuple[str, ...], timeout: float, watch: float | None) -> None:
    """Ping the services that can be pinged; exit with 1 if one is failing."""

    async def ping_all(registry: Registry, _app: object) -> int:
        _check_tags(registry, tags)
        while True:
            async with registry.container() as container:
                pings = choose_pings(container, frozenset(tags) if tags else None)
                is_healthy = await _ping_and_show(container, pings, timeout)
            if watch is None:
                return 0 if is_healthy else 1
            await asyncio.sleep(watch)

    _run(target, ping_all)


@commands.command(name="list")
@click.argument("target")
def list_services(target: str) -> None:
    """List the services and how they are made."""

    async def list_all(registry: Registry, _app: object) -> int:
        table = Table("service", "lifetime", "kind", "ping", "tags", "made at")
        for node in registry.graph().nodes:
            table.add_row(*map(Text, _cells_of(node)))
        _console().print(table)
        return 0

    _run(target, list_all)


def _run(target: str, use: Callable[[Registry, object], Coroutine[Any, Any, int]]) -> None:
    """Start what *target* names, use its registry, and exit with what comes of it."""

    async def start_and_use() -> int:
        async with open_registry(load(target)) as (registry, app):
            return await use(registry, app)

    try:
        code = asyncio.run(start_and_use())
    except TargetError as error:
        raise click.BadParameter(str(error), param_hint="TARGET") from error
    except InvalidRegistryError as error:
        _console(stderr=True).print(_draw_problems(error))
        code = 1
    except KeyboardInterrupt:
        code = 130
    except click.ClickException:
        raise
    except Exception:  # noqa: BLE001  # whatever the application raises is its business
        # Its own traceback is what its developers need.
        click.echo(traceback.format_exc(), err=True, nl=False)
        code = 1
    raise SystemExit(code)


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, width=_WIDTH_OF_FILES)


def _draw_problems(error: InvalidRegistryError) -> Text:
    text = Text()
    for number, problem in enumerate(error.exceptions, 1):
        first, *rest = str(problem).splitlines()
        text.append(f"✗ {number}. ", "red").append(first, "bold")
        text.append("".join(f"\n  {line}" for line in rest) + "\n\n")
    return text.append(str(error.message), "red")


def _cells_of(node: Node) -> tuple[str, ...]:
    return (
        node.name,
        "" if node.lifetime is None or node.kind == "value" else node.lifetime,
        node.kind,
        "✓" if node.has_ping else "",
        ", ".join(node.tags),
        node.place or "",
    )


def _check_tags(registry: Registry, tags: tuple[str, ...]) -> None:
    """Refuse tags that no service has: nothing would be pinged, and all seem well."""
    known = {tag: None for node in registry.graph().nodes for tag in node.tags}
    for tag in tags:
        if tag not in known:
            there = f"There are: {', '.join(known)}." if known else "No service has any."
            raise click.BadParameter(
                f"No service has the tag {tag!r}. {there}", param_hint="--tag"
            )


async def _ping_and_show(
    container: Container, pings: list[ServicePing], seconds: float
) -> bool:
    """Run *pings*, show what comes of them as it comes, and tell whether all are well."""
    console = _console()
    if not pings:
        console.print("No service has a ping.")
        return True
    results: dict[str, ServiceHealth] = {}

    async def run(one: ServicePing) -> None:
        results[one.name] = await arun_ping(container, one, seconds)
        live.update(_draw_results(pings, results))

    with _live(console, _draw_results(pings, results)) as live:
        await asyncio.gather(*map(run, pings))
    if not console.is_terminal:
        console.print(_draw_results(pings, results))
    return all(result.is_healthy for result in results.values())


def _live(console: Console, first: Table) -> Live:
    """Show tables in the place of each other; in a file nothing, as only the last one counts."""
    return Live(first, console=console if console.is_terminal else Console(quiet=True))


def _draw_results(pings: list[ServicePing], results: Mapping[str, ServiceHealth]) -> Table:
    table = Table("", "service", "duration", "error")
    table.columns[2].justify = "right"
    for one in pings:
        result = results.get(one.name)
        if result is None:
            table.add_row(Spinner("dots"), Text(one.name), "", "")
        else:
            table.add_row(*_draw_result(result))
    return table


def _draw_result(result: ServiceHealth) -> tuple[Text, ...]:
    error = "" if result.error is None else describe_error(result.error)
    return (
        Text("✓", "green") if result.is_healthy else Text("✗", "red"),
        Text(result.name),
        Text(f"{result.duration * 1000:.1f} ms"),
        Text(error, "red"),
    )
