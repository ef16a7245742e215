"""Run svcs' own tests on wares, renamed, and compare what fails with what is to fail.

It takes svcs from its source distribution: ``tox run -e svcs``.
"""

import collections
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.svcs_suite.differences import OTHERWISE, PRIVATE

VERSION = "26.2.0"

#: How one migrates, as docs/migrating-from-svcs.md shows it.
RENAMES = (("SVCSMiddleware", "WaresMiddleware"), (r"\b(_?)svcs", r"\1wares"))

#: What a user's code would not import.
PRIVATE_IMPORT = re.compile(r"^from wares\._\w+ import .*\n", re.MULTILINE)

Results = Mapping[str, collections.Counter[str]]


def download(folder: Path) -> Path:
    """Download svcs' source distribution, unpack it, and give the folder that it is in."""
    options = ["--quiet", "--no-deps", "--no-binary=:all:", f"--dest={folder}"]
    subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, f"svcs=={VERSION}"], check=True
    )
    with tarfile.open(folder / f"svcs-{VERSION}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / f"svcs-{VERSION}"


def rename(folder: Path) -> None:
    """Rename svcs to wares in the tests, and leave out their private imports."""
    for path in [folder / "conftest.py", *(folder / "tests").rglob("*.py")]:
        source = path.read_text("utf-8")
        for old, new in RENAMES:
            source = re.sub(old, new, source)
        path.write_text(PRIVATE_IMPORT.sub("", source), "utf-8")


def run_tests(folder: Path) -> Results:
    """Run the tests, and give for each how often it has passed, failed, or was skipped."""
    report = folder / "report.xml"
    options = ["--quiet", "--tb=no", "-p", "no:cacheprovider", f"--junitxml={report}"]
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


def names_of(tests: Mapping[str, tuple[str, ...]]) -> set[str]:
    """Give the full names of tests that are listed by module or class."""
    return {f"{place}.{name}" for place, names in tests.items() for name in names}


def main() -> int:
    """Run them, tell how many pass, and fail if that is not what was expected."""
    with tempfile.TemporaryDirectory() as name:
        folder = download(Path(name))
        rename(folder)
        results = run_tests(folder)
    otherwise = [names_of(tests) for tests in OTHERWISE.values()]
    expected = names_of(PRIVATE).union(*otherwise)
    failed = {name for name, outcomes in results.items() if outcomes["failed"]}
    numbers = sum(results.values(), collections.Counter())
    private = sum(results[name]["failed"] for name in names_of(PRIVATE))
    print(
        f"{numbers['passed']} of svcs' {numbers.total() - numbers['skipped']} tests pass; "
        f"{private} test private names, and {numbers['failed'] - private} what is otherwise."
    )
    for name in sorted(failed - expected):
        print(f"fails, and should not: {name}")
    for name in sorted(expected - failed):
        print(f"does not fail any more, take it off the list: {name}")
    return int(failed != expected)


if __name__ == "__main__":
    sys.exit(main())
