"""Put the figures of saved runs into README.md: `python -m benchmarks.report FILE...`.

The files are those that `--json` writes. Everything between two marks is written anew; the
rest of the page is left alone.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("README.md")
BEGIN = "<!-- figures: written by python -m benchmarks.report -->"
END = "<!-- end of figures -->"

COLUMNS = ("by hand", "wares", "svcs", "dishka", "wireup")
PAGE_COLUMNS = ("by hand", "wares Inject", "wares DepContainer", "svcs", "dishka", "wireup")
HAS_PAGES = ("fastapi", "wireup-", "load-")


def write(files: Sequence[Path]) -> None:
    """Write the figures of *files* into the page.

    Args:
        files: What `--json` has written, one for each interpreter.
    """
    runs = [json.loads(file.read_text("utf-8")) for file in files]
    page = PAGE.read_text("utf-8")
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    text = "\n".join(line for run in runs for line in _describe(run))
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", "utf-8")


def _describe(run: dict[str, Any]) -> Iterator[str]:
    versions = dict(run["versions"])
    python, machine = versions.pop("python"), versions.pop("machine")
    yield f"### {python}\n"
    yield f"{machine}. " + ", ".join(f"{name} {it}" for name, it in versions.items()) + ".\n"
    found = [table for table in run["tables"] if _is_measured(table)]
    plain = [table for table in found if not table["row"].startswith(HAS_PAGES)]
    pages = [table for table in found if table["row"].startswith(HAS_PAGES)]
    for tables, columns in ((plain, COLUMNS), (pages, PAGE_COLUMNS)):
        if tables:
            yield from _write_table(tables, columns)
            yield ""
    for table in run["tables"]:
        if not _is_measured(table):
            yield f"Not measured: {table['title']} ({table['figures'][0]['reason']}).\n"
    yield from _write_losses(found)


def _is_measured(table: dict[str, Any]) -> bool:
    return any(figure["minimum"] is not None for figure in table["figures"])


def _write_table(tables: list[dict[str, Any]], columns: tuple[str, ...]) -> Iterator[str]:
    yield f"| the same work | unit | {' | '.join(columns)} | best other | target |"
    yield "| --- | --- |" + " ---: |" * len(columns) + " --- | --- |"
    for table in tables:
        figures = {figure["candidate"]: figure for figure in table["figures"]}
        cells = [_write_cell(figures.get(column)) for column in columns]
        others = [
            figure
            for name, figure in figures.items()
            if name not in columns and figure["minimum"] is not None
        ]
        best = min(others, key=lambda figure: figure["minimum"], default=None)
        cells.append("" if best is None else f"{best['candidate']} {_write_cell(best)}")
        target = table["target"] or ""
        yield f"| {table['title']} | {table['unit']} | {' | '.join(cells)} | {target} |"


def _write_cell(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return ""
    if figure["minimum"] is None:
        return "" if figure["verdict"] == "not offered" else figure["verdict"]
    number = format(figure["minimum"], ",.0f" if figure["minimum"] >= 100 else ",.1f")
    ratio = figure["by_hand"]
    if figure["candidate"] == "by hand" or ratio is None or figure["minimum"] == 0:
        return number
    return f"{number} ({ratio:.2f})"


def _write_losses(tables: list[dict[str, Any]]) -> Iterator[str]:
    misses = [f"- {table['title']}: {miss}" for table in tables for miss in table["misses"]]
    yield "Where wares misses its target:\n" if misses else "wares reaches all of its targets."
    yield from misses
    yield ""


if __name__ == "__main__":
    write([Path(file) for file in sys.argv[1:]])
