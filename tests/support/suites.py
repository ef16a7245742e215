"""Other projects' own tests, run on wares, and compared with what is expected of them."""

import collections
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

#: How often each test has passed, failed, or was skipped.
Results = Mapping[str, collections.Counter[str]]

#: The names of tests, by module or class.
Names = Mapping[str, Sequence[str]]


def run_tests(folder: Path, *options: str) -> Results:
    """Run the tests in *folder*; those of one parametrized test count as one name."""
    report = folder / "report.xml"
    options = ("--quiet", "--tb=no", "-p", "no:cacheprovider", f"--junitxml={report}", *options)
    subprocess.run([sys.executable, "-m", "pytest", *options, "tests"], cwd=folder, check=False)
    results: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for case in ET.parse(report).iter("testcase"):
        name = f"{case.get('classname')}.{str(case.get('name')).partition('[')[0]}"
        results[name][_outcome(case)] += 1
    return results


def _outcome(case: ET.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "passed" if case.find("skipped") is None else "skipped"


def describe(project: str, results: Results, expected: Mapping[str, Names]) -> str:
    """Tell how many tests of *project* pass, and how many fail on purpose, by the reason."""
    passed, run = _count(results)
    lines = [f"{passed} of {run} tests of {project} pass."]
    for reason, names in expected.items():
        count = sum(results[name]["failed"] for name in _list_names(names))
        lines.append(f"{count:4} fail: {reason}")
    return "\n".join(lines)


def find_surprises(results: Results, expected: Mapping[str, Names]) -> list[str]:
    """Tell which tests fail that are to pass, and which pass that are *expected* to fail."""
    to_fail = {name for names in expected.values() for name in _list_names(names)}
    failed = {name for name, outcomes in results.items() if outcomes["failed"]}
    return [
        *[f"fails, and should not: {name}" for name in sorted(failed - to_fail)],
        *[f"does not fail, take it off the list: {name}" for name in sorted(to_fail - failed)],
    ]


def find_wrong_numbers(results: Results, page: str, sentence: str) -> list[str]:
    """Tell if a page of the documentation does not state how many tests pass.

    Args:
        results: What was found.
        page: The page.
        sentence: What it states, with ``{passed}`` and ``{run}``; of Python 3.13.
    """
    text = " ".join((_DOCUMENTATION / page).read_text("utf-8").split())
    passed, run = _count(results)
    expected = sentence.format(passed=passed, run=run)
    is_right = expected in text or sys.version_info[:2] != (3, 13)
    return [] if is_right else [f"docs/{page} does not state: {expected}"]


_DOCUMENTATION = Path(__file__).parents[2] / "docs"


def _count(results: Results) -> tuple[int, int]:
    """Count the tests that pass, and all that were run."""
    numbers = sum(results.values(), collections.Counter())
    return numbers["passed"], numbers.total() - numbers["skipped"]


def _list_names(tests: Names) -> list[str]:
    return [f"{place}.{name}" for place, names in tests.items() for name in names]
