"""The benchmark works: every candidate is checked once, nothing is timed."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.candidates import MODULES

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
    reason=f"`tox run -e peers` has the peers; there is no {', '.join(MISSING)} here",
)


def run_benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the benchmark as its users do."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
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
    """A short run measures the candidates that are asked for, beside the hand-written code."""
    file = tmp_path / "figures.json"

    run_benchmarks("graph", "--only", "wares", "--rounds", "1", "--json", str(file))

    tables = json.loads(file.read_text("utf-8"))["tables"]
    actual = {
        table["row"]: [figure["candidate"] for figure in table["figures"]] for table in tables
    }
    assert {"graph": ["by hand", "wares"], "graph-async": ["by hand", "wares"]} == actual


def test_an_unknown_row_is_refused() -> None:
    """A row that does not exist is an error that names those that do."""
    run = run_benchmarks("grpah")

    assert (2, True) == (run.returncode, "graph-async" in run.stderr)
