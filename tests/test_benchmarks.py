"""The benchmark works: every candidate is checked once, nothing is timed."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks import report, rows
from benchmarks.candidates import MODULES
from benchmarks.targets import TARGETS

ROOT = Path(__file__).parent.parent
PEERS = (
    "aioinject",
    "dependency_injector",
    "dishka",
    "fast_depends",
    "fastapi",
    "flask",
    "rodi",
    "socketio",
    "svcs",
    "that_depends",
    "uvicorn",
    "wireup",
)
MISSING = [peer for peer in PEERS if find_spec(peer) is None]
pytestmark = pytest.mark.skipif(
    bool(MISSING),
    reason=f"`tox run -e installed` has the peers; there is no {', '.join(MISSING)} here",
)


def run_benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the benchmark as its users do."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """One run over everything, with checks only: how it ended, and the tables."""
    file = tmp_path_factory.mktemp("benchmarks") / "checked.json"

    run = run_benchmarks("--once", "--json", str(file))

    assert 0 == run.returncode, run.stdout + run.stderr
    return json.loads(file.read_text("utf-8"))["tables"]


def figures(tables):
    """Go through all figures, each with the name of its row."""
    return [(table["row"], figure) for table in tables for figure in table["figures"]]


@pytest.mark.parametrize("name", ["by hand", "wares"])
def test_our_own_candidates_pass_every_check(checked, name) -> None:
    """The hand-written code and wares do all the work that they offer, and do it right."""
    others = {
        (row, figure["verdict"], figure["reason"])
        for row, figure in figures(checked)
        if figure["candidate"].startswith(name)
        and figure["verdict"] not in {"passed", "not offered"}
    }

    assert set() == others


def test_every_peer_is_named_in_every_table(checked) -> None:
    """A peer that fails, or lacks something, is named with the reason; none is dropped."""
    unexplained = [
        (row, figure["candidate"])
        for row, figure in figures(checked)
        if figure["verdict"] != "passed" and not figure["reason"]
    ]
    named = [figure["candidate"] for row, figure in figures(checked) if row == "graph"]

    assert ([], len(MODULES)) == (unexplained, len(named))


def test_nothing_is_timed_when_only_checks_are_asked_for(checked) -> None:
    """`--once` measures nothing."""
    timed = [figure for _, figure in figures(checked) if figure["minimum"] is not None]

    assert [] == timed


def test_a_row_is_measured(tmp_path) -> None:
    """A short run measures the candidates that are asked for, and the hand-written code."""
    file = tmp_path / "figures.json"

    run_benchmarks("factory", "--only", "wares", "--rounds", "1", "--json", str(file))

    tables = json.loads(file.read_text("utf-8"))["tables"]
    actual = {
        table["row"]: [figure["candidate"] for figure in table["figures"]] for table in tables
    }
    assert {"factory": ["by hand", "wares"], "factory-async": ["by hand", "wares"]} == actual


def test_the_quick_run_shows_the_target_of_a_row() -> None:
    """The quick run prints one line for each row: ratios, the target, and whether it is met."""
    run = run_benchmarks("quick", "cached")

    (line,) = [line for line in run.stdout.splitlines() if line.startswith("cached ")]
    said = (str(TARGETS["cached"]) in line, "reached" in line or "MISSED" in line)
    assert (0, (True, True)) == (run.returncode, said)


def test_every_target_belongs_to_a_row() -> None:
    """No target is left over from a row that is gone."""
    names = {row.name for row in rows.ROWS}

    assert set() == TARGETS.keys() - names


def test_a_run_replaces_the_figures_of_its_version_only(checked, tmp_path) -> None:
    """A run is written in place of the earlier one on the same Python; others stay."""
    page = tmp_path / "README.md"
    old, other = "### CPython 3.13.0\n\nold\n\n", "### CPython 3.11.7\n\nother\n\n"
    page.write_text(f"before {report.BEGIN}\n\n{old}{other}{report.END} after", "utf-8")
    versions = {"python": "CPython 3.13.1", "machine": "a machine", "wares": "1"}

    report.write({"versions": versions, "tables": checked}, page, tmp_path / "figures.svg")

    text = page.read_text("utf-8")
    kept = text.startswith("before ") and text.endswith(f"{other}{report.END} after")
    actual = (kept, "### CPython 3.13.1" in text, old in text)
    assert (True, True, False) == actual


def test_figures_of_some_rows_are_not_written() -> None:
    """The page shows whole runs: a part of one is refused."""
    run = run_benchmarks("graph", "--write")

    assert (2, True) == (run.returncode, "needs the figures of all rows" in run.stderr)


def test_an_unknown_row_is_refused() -> None:
    """A row that does not exist is an error that names those that do."""
    run = run_benchmarks("grpah")

    assert (2, True) == (run.returncode, "graph-async" in run.stderr)


def test_the_comparison_page_says_what_the_candidates_do() -> None:
    """The candidates behave as `docs/why.md` says."""
    lines = (ROOT / "docs" / "why.md").read_text("utf-8").splitlines()
    table = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("| ")
    ]
    names = [name.partition("'")[0].strip("`") for name in table[0][1:]]
    page = {row[0]: dict(zip(names, row[1:], strict=True)) for row in table[1:]}
    command = "import asyncio, json; from benchmarks import comparison as c; "
    command += "print(json.dumps(asyncio.run(c.observe())))"

    run = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
    )

    observed = json.loads(run.stdout)
    assert observed == {row: page[row] for row in observed}
