"""Writes the figures of a run into README.md, and draws them: `python -m benchmarks --write`.

`python -m benchmarks.report FILE` does the same with a file that `--json` has written. Each minor
version of Python has its own section between two marks; the rest of the page remains.
"""

import json
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.figures import is_wares
from benchmarks.printing import number

PAGE = Path(__file__).with_name("README.md")
DRAWING = Path(__file__).with_name("figures.svg")
BEGIN = "<!-- figures: written by python -m benchmarks --write -->"
END = "<!-- end of figures -->"

PEERS = ("svcs", "dishka", "wireup")


def write(run: dict[str, Any], page: Path = PAGE, drawing: Path = DRAWING) -> None:
    """Write a run into the page, instead of the earlier one on the same Python, and draw it.

    Args:
        run: The run, as `--json` writes it.
        page: A file that contains the two marks.
        drawing: The SVG file to write, if matplotlib is installed.
    """
    before, rest = page.read_text("utf-8").split(BEGIN)
    written, after = rest.split(END)
    sections = {
        _minor_version(part): part
        for part in re.findall(r"### .*?(?=### |\Z)", written, re.DOTALL)
    }
    section = "\n".join(_describe(run))
    sections[_minor_version(section)] = section + "\n"
    newest_first = "".join(sections[version] for version in sorted(sections, reverse=True))
    page.write_text(f"{before}{BEGIN}\n\n{newest_first}{END}{after}", "utf-8")
    if find_spec("matplotlib") is not None:
        from benchmarks.plot import draw

        draw(run, drawing)


def _minor_version(section: str) -> tuple[int, ...]:
    found = re.search(r"(\d+)\.(\d+)", section)
    return () if found is None else tuple(map(int, found.groups()))


def _describe(run: dict[str, Any]) -> Iterator[str]:
    versions = dict(run["versions"])
    python, machine = versions.pop("python"), versions.pop("machine")
    tables = run["tables"]
    yield f"### {python}\n"
    yield f"{machine}. " + ", ".join(f"{name} {one}" for name, one in versions.items()) + ".\n"
    yield f"| the same work | = 1 | by hand | wares | {' | '.join(PEERS)} | best other | target |"
    yield "| --- | --- |" + " ---: |" * (len(PEERS) + 2) + " --- | --- |"
    yield from (_write_line(table) for table in tables if _is_measured(table))
    yield ""
    yield from _write_list(
        "Where wares misses its target:",
        [
            f"{table['title']}: {'; '.join(table['misses'])}"
            for table in tables
            if table["misses"]
        ],
    )
    yield from _write_list("What failed a check, and is not timed:", _list_failures(tables))
    yield from _write_list(
        "What was not measured:",
        [
            f"{table['title']}: {table['figures'][0]['reason']}"
            for table in tables
            if not _is_measured(table)
        ],
    )


def _list_failures(tables: list[dict[str, Any]]) -> list[str]:
    """List each candidate that failed, with the reason and the rows."""
    failures: dict[str, list[str]] = {}
    for table in tables:
        for figure in table["figures"]:
            if figure["verdict"] in {"failed", "missing"}:
                what = f"{figure['candidate']}: {figure['reason']}"
                failures.setdefault(what, []).append(f"`{table['row']}`")
    return [f"{what} ({', '.join(named)})" for what, named in failures.items()]


def _write_list(heading: str, items: list[str]) -> Iterator[str]:
    if items:
        yield f"{heading}\n"
        yield from (f"- {item}" for item in items)
        yield ""


def _is_measured(table: dict[str, Any]) -> bool:
    return any(figure["minimum"] is not None for figure in table["figures"])


def _write_line(table: dict[str, Any]) -> str:
    timed = {
        figure["candidate"]: figure
        for figure in table["figures"]
        if figure["minimum"] is not None
    }
    base = timed.get(table["baseline"])
    one = table["unit"]
    if base is not None:
        one = f"{table['baseline']}: {number(base['minimum'])} {table['unit']}"
    ours = [figure for name, figure in timed.items() if is_wares(name)]
    shown = {"by hand", *PEERS, *(figure["candidate"] for figure in ours)}
    others = [figure for name, figure in timed.items() if name not in shown]
    best = min(others, key=lambda figure: figure["minimum"], default=None)
    cells = [
        table["title"],
        one,
        _write_cell(timed.get("by hand")),
        ", ".join(f"{_entry_of(figure)}{_write_cell(figure)}" for figure in ours),
        *(_write_cell(timed.get(peer)) for peer in PEERS),
        "" if best is None else f"{best['candidate']} {_write_cell(best)}",
        table["target"] or "",
    ]
    return f"| {' | '.join(cells)} |"


def _entry_of(figure: dict[str, Any]) -> str:
    """Return the name of an entry of wares, if a row has several."""
    _, _, entry = figure["candidate"].partition(" ")
    return f"{entry} " if entry else ""


def _write_cell(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return ""
    if figure["ratio"] is None:
        return number(figure["minimum"])
    return format(figure["ratio"], ".2f")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        write(json.loads(Path(argument).read_text("utf-8")))
