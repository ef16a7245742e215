"""The commands: check, graph, ping and list."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import json
import os
import traceback
from collections.abc import Callable, Coroutine, Hashable, Mapping
from pathlib import Path
from typing import Any, Literal

import click
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from wares._adapters.applications import find_problems, find_wanted
from wares._adapters.lifespan import MAKES_EAGER, VALIDATES
from wares._cli.findings import WRITERS, Finding
from wares._cli.targets import Target, TargetError, open_registry
from wares._core.container import Container, Registry
from wares._core.pings import ServicePing
from wares._graph.graph import Graph
from wares._graph.nodes import Node
from wares.exceptions import InvalidRegistryError, raise_problems
from wares.health import ServiceHealth, arun_ping, choose_pings, describe_error

__all__ = ["commands"]

#: The width of tables if the output is not a terminal, so that nothing is folded.
_WIDTH_OF_FILES = 240

#: The functions that write a graph, by format.
_WRITERS: Mapping[str, Callable[[Graph, str], str]] = {
    "mermaid": lambda graph, _: graph.to_mermaid(),
    "dot": lambda graph, _: graph.to_dot(),
    "html": Graph.to_html,
    "json": lambda graph, _: json.dumps(graph.to_dict(), indent=2) + "\n",
}

#: The formats of files, by extension.
_SUFFIXES = {
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".txt": "mermaid",
    ".dot": "dot",
    ".gv": "dot",
    ".html": "html",
    ".json": "json",
}

#: The extensions of files that only Graphviz can write.
_DRAWN_BY_GRAPHVIZ = {".svg", ".png", ".pdf", ".ps", ".jpg", ".gif", ".webp"}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wares")
def commands() -> None:
    """Look at the services of an application.

    TARGET is `module:attribute`, or `path/of/module.py:attribute`: a registry; an application,
    which is started; or a function that makes one of them.
    """


def _takes_target(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the arguments for a target and the folder of its module."""

    @click.argument("target")
    @click.option(
        "--app-dir",
        default=".",
        show_default=True,
        type=click.Path(exists=True, file_okay=False),
        help="The folder where the module is looked for.",
    )
    @functools.wraps(command)
    def with_target(target: str, app_dir: str, **options: Any) -> None:
        command(Target(target, os.path.abspath(app_dir)), **options)  # noqa: PTH100  # keeps links

    return with_target


@commands.command()
@_takes_target
@click.option(
    "--format",
    "-f",
    "form",
    type=click.Choice(["text", *WRITERS]),
    default="text",
    show_default=True,
    help="The format of problems: for people, editors, or annotations on GitHub.",
)
@click.option("--unused", is_flag=True, help="Treat unused services as errors.")
def check(target: Target, form: str, unused: bool) -> None:
    """Check that all services can be made; exit with 1 if not."""

    async def check_registry(registry: Registry, app: object) -> int:
        graph = registry.graph()
        raise_problems("The registry has", [*graph.problems, *find_problems(app, registry)])
        count = len(list(registry))
        if not count:
            raise InvalidRegistryError("There is nothing to check", [_NOTHING])
        wanted = {*find_wanted(app, registry)}
        # If no signature asks for a service, all functions ask in their bodies, or are unknown.
        idle = _find_unused(graph, wanted, registry) if wanted or unused else []
        findings = [_describe_unused(node, target, is_error=unused) for node in idle]
        if form == "text":
            services = "1 service" if count == 1 else f"{count} services"
            _console().print(f"[green]✓[/] {services}, no problem")
            _console(stderr=True).print(_draw_unused(findings), end="")
        else:
            _echo(findings, form)
        return 1 if unused and idle else 0

    def show(error: InvalidRegistryError) -> None:
        if form == "text":
            _show_problems(error)
        else:
            _echo([Finding.of(problem, target.file) for problem in error.exceptions], form)

    _run(target, check_registry, show)


#: The problem of an empty registry.
_NOTHING = TargetError(
    "Nothing is registered, so there is nothing to check. Name the application that registers "
    "its services as it starts, or a function that registers them."
)


def _find_unused(graph: Graph, wanted: set[Hashable], registry: Registry) -> list[Node]:
    """Find services that are registered and that nothing seems to need."""
    needed = {edge.target for edge in graph.edges if edge.source != edge.target}
    # An eager service, such as a background worker, is made for its effect.
    eager = {key for key, recipe in registry._registrations.recipes.items() if recipe.is_eager}
    return [
        node
        for node in graph.nodes
        if node.name not in needed and node.key not in wanted | eager
    ]


def _describe_unused(node: Node, target: Target, *, is_error: bool) -> Finding:
    message = f"{node.name} is registered, but nothing seems to need it."
    severity: Literal["error", "warning"] = "error" if is_error else "warning"
    return Finding.at(severity, message, f"({node.place})", target.file)


def _draw_unused(findings: list[Finding]) -> Text:
    text = Text()
    for finding in findings:
        color = "red" if finding.severity == "error" else "yellow"
        text.append("! ", color).append(f"{finding.message} ({finding.path}:{finding.line})\n")
    if findings:
        text.append("Services that functions ask for in their bodies cannot be seen.\n", "dim")
    return text


def _echo(findings: list[Finding], form: str) -> None:
    for finding in findings:
        click.echo(WRITERS[form](finding))


@commands.command()
@_takes_target
@click.option(
    "--format",
    "-f",
    "form",
    type=click.Choice(list(_WRITERS)),
    help="The format; by default that of the file's extension, otherwise mermaid.",
)
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Where to write it."
)
@click.option("--title", default="Services", show_default=True, help="The title of the page.")
def graph(target: Target, form: str | None, output: Path | None, title: str) -> None:
    """Draw the services and what they need, with problems in red."""
    write = _WRITERS[form or _choose_form(output)]
    if output is not None and not output.parent.is_dir():
        raise click.BadParameter(
            f"There is no directory {str(output.parent)!r}. Make it first.",
            param_hint="--output",
        )

    async def draw(registry: Registry, app: object) -> int:
        of_handlers = [*find_problems(app, registry)]
        drawn = registry.graph()
        _write(write(drawn, title), output)
        _tell_of_problems(len(drawn.problems), len(of_handlers))
        if not (of_handlers or any(True for _ in registry)):
            click.echo("Nothing is registered, so there is nothing to draw.", err=True)
        return 0

    _run(target, draw, validates=False)


def _tell_of_problems(drawn: int, not_drawn: int) -> None:
    """Report the number of problems, because the drawing may go into a file."""
    for count, text in (
        (drawn, ", drawn in red"),
        (not_drawn, " of handlers, not drawn"),
    ):
        if count:
            problems = "1 problem" if count == 1 else f"{count} problems"
            click.echo(f"{problems}{text}. `wares check` shows the details.", err=True)


def _choose_form(output: Path | None) -> str:
    """Choose the format of a graph by the name of the file."""
    suffix = "" if output is None else output.suffix.lower()
    if suffix in _DRAWN_BY_GRAPHVIZ:
        raise click.BadParameter(
            f"Graphviz makes {suffix} files. Write a .dot file, and convert it: "
            f"dot -T{suffix[1:]} graph.dot -o graph{suffix}",
            param_hint="--output",
        )
    if suffix and suffix not in _SUFFIXES:
        raise click.BadParameter(
            f"{suffix!r} is not the extension of a format. Use one of {', '.join(_SUFFIXES)}, "
            f"or choose a format with --format.",
            param_hint="--output",
        )
    return _SUFFIXES.get(suffix, "mermaid")


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise click.FileError(str(output), error.strerror) from error


@commands.command()
@_takes_target
@click.option(
    "--tag", "tags", multiple=True, help="Ping services with this tag only; repeatable."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    help="Time limit in seconds of pings that have none of their own.",
)
@click.option(
    "--watch",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Ping again at this interval in seconds, until interrupted.",
)
def ping(target: Target, tags: tuple[str, ...], timeout: float, watch: float | None) -> None:
    """Ping the services that can be pinged; exit with 1 if one is failing."""

    async def ping_all(registry: Registry, _app: object) -> int:
        with registry.container() as container:
            _check_tags(container.get_pings(), tags)
        while True:
            async with registry.container() as container:
                pings = choose_pings(container, frozenset(tags) if tags else None)
                is_healthy = await _ping_and_show(container, pings, timeout)
            if watch is None:
                return 0 if is_healthy else 1
            await asyncio.sleep(watch)

    _run(target, ping_all, makes_eager=True)


@commands.command(name="list")
@_takes_target
def list_services(target: Target) -> None:
    """List the services and how they are made."""

    async def list_all(registry: Registry, _app: object) -> int:
        nodes = registry.graph().nodes
        if not nodes:
            _console().print("Nothing is registered.")
            return 0
        table = Table("service", "lifetime", "kind", "ping", "tags", "made at")
        for node in nodes:
            table.add_row(*map(Text, _cells_of(node)))
        _console().print(table)
        return 0

    _run(target, list_all, validates=False)


def _show_problems(error: InvalidRegistryError) -> None:
    _console(stderr=True).print(_draw_problems(error))


def _run(
    target: Target,
    use: Callable[[Registry, object], Coroutine[Any, Any, int]],
    show: Callable[[InvalidRegistryError], None] = _show_problems,
    *,
    validates: bool = True,
    makes_eager: bool = False,
) -> None:
    """Start the target, use its registry, and exit with the result.

    Args:
        target: The target to start.
        use: Uses the registry and the application, and returns the exit code.
        show: Shows problems that keep the application from starting.
        validates: Whether problems keep the application from starting.
        makes_eager: Whether the application makes its eager services.
    """

    def run() -> int:
        VALIDATES.set(validates)
        MAKES_EAGER.set(makes_eager)
        return asyncio.run(start_and_use(target.load()))

    async def start_and_use(thing: object) -> int:
        async with open_registry(thing) as (registry, app):
            return await use(registry, app)

    try:
        code = contextvars.copy_context().run(run)
    except TargetError as error:
        raise click.BadParameter(str(error), param_hint="TARGET") from error
    except KeyboardInterrupt:
        code = 130
    except click.ClickException:
        raise
    except Exception as error:  # noqa: BLE001  # an application may raise anything
        problems = _unpack(error)
        if isinstance(problems, InvalidRegistryError):
            show(problems)
        else:
            # The developers of the application need its traceback.
            click.echo(traceback.format_exc(), err=True, nl=False)
        code = 1
    raise SystemExit(code)


def _unpack(error: BaseException) -> BaseException:
    """Unwrap an error from the groups of task groups."""
    while type(error) is ExceptionGroup and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


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


def _check_tags(pings: list[ServicePing], tags: tuple[str, ...]) -> None:
    """Refuse tags that no ping has: no ping would run, and the command would report success."""
    known = {tag: None for one in pings for tag in one.tags}
    for tag in tags:
        if tag not in known:
            there = f"There are: {', '.join(known)}." if known else "No service has any."
            raise click.BadParameter(
                f"No service has the tag {tag!r}. {there}", param_hint="--tag"
            )


async def _ping_and_show(
    container: Container, pings: list[ServicePing], seconds: float
) -> bool:
    """Run *pings*, show each result when it arrives, and tell whether all are healthy."""
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
    """Show a table that can be updated in a terminal; a file gets only the last table."""
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
