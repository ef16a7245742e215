"""Runs the tests of other projects on wares, and compares the results with the expected ones."""

import collections
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

#: How often each test has passed, has failed or was skipped.
Results = Mapping[str, collections.Counter[str]]

#: The names of tests, by module or class.
Names = Mapping[str, Sequence[str]]


def run_tests(folder: Path, *options: str) -> Results:
    """Run the tests in *folder*; all cases of a parametrized test have one name."""
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
    """Write how many tests of *project* pass, and how many are expected to fail, by reason."""
    passed, run = _count(results)
    lines = [f"{passed} of {run} tests of {project} pass."]
    for reason, names in expected.items():
        count = sum(results[name]["failed"] for name in _list_names(names))
        lines.append(f"{count:4} fail: {reason}")
    return "\n".join(lines)


def find_surprises(results: Results, expected: Mapping[str, Names]) -> list[str]:
    """List the tests that fail but should pass, and those that pass but are *expected* to fail."""
    to_fail = {name for names in expected.values() for name in _list_names(names)}
    failed = {name for name, outcomes in results.items() if outcomes["failed"]}
    return [
        *[f"fails, and should not: {name}" for name in sorted(failed - to_fail)],
        *[f"does not fail, take it off the list: {name}" for name in sorted(to_fail - failed)],
    ]


def find_wrong_numbers(results: Results, page: str, sentence: str) -> list[str]:
    """Return a message if a page of the documentation states wrong numbers of tests.

    Args:
        results: The results.
        page: The page.
        sentence: The sentence on the page, with ``{passed}`` and ``{run}``, for Python 3.13.
    """
    text = " ".join((_DOCUMENTATION / page).read_text("utf-8").split())
    passed, run = _count(results)
    expected = sentence.format(passed=passed, run=run)
    is_right = expected in text or sys.version_info[:2] != (3, 13)
    return [] if is_right else [f"docs/{page} does not state: {expected}"]


_DOCUMENTATION = Path(__file__).parents[2] / "docs"


def _count(results: Results) -> tuple[int, int]:
    """Count the tests that pass, and all tests that run."""
    numbers = sum(results.values(), collections.Counter())
    return numbers["passed"], numbers.total() - numbers["skipped"]


def _list_names(tests: Names) -> list[str]:
    return [f"{place}.{name}" for place, names in tests.items() for name in names]
