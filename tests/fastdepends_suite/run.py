"""Run the tests of FastDepends on wares, and check that exactly the expected ones fail.

FastDepends' source distribution has no tests, so they come from its repository, and are renamed:
``tox run -e fastdepends``, or ``tox run -e fastdepends -- path/to/a/clone``.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.fastdepends_suite.differences import OTHERWISE
from tests.support.suites import describe, find_surprises, find_wrong_numbers, run_tests

REPOSITORY = "https://github.com/Lancetnik/FastDepends"

#: The newest version that has a tag in the repository.
VERSION = "3.0.8"

PAGE = "coming-from-fastdepends.md"
SENTENCE = (
    "of the {run} tests of FastDepends 3.0.8 that only use `inject`, `Depends`, overrides and "
    "pydantic, {passed} pass on Python 3.13"
)

#: The names that wares has as well. Tests that need other names do not run: they are about
#: serializers, custom fields, schemas and internals.
PORTABLE = {"Depends", "Provider", "ValidationError", "inject"}

IMPORT = re.compile(r"^from fast_depends[\w.]* import (?:\(([^)]*)\)|(.*))$", re.MULTILINE)

#: The package or one of its modules; one module replaces all of them.
NAME = re.compile(r"\bfast_depends\b[\w.]*")


def download(repository: str, folder: Path) -> None:
    """Clone *repository* at the tag of the version."""
    command = ["git", "clone", "--quiet", "--depth=1", f"--branch={VERSION}", repository]
    subprocess.run([*command, str(folder)], check=True)


def rename(folder: Path) -> None:
    """Make the portable tests import wares, and delete the others."""
    for path in (folder / "tests").rglob("*.py"):
        source = path.read_text("utf-8")
        if path.name.startswith("test_") and not read_imports(source) <= PORTABLE:
            path.unlink()
            continue
        path.write_text(NAME.sub("tests.renamed", source), "utf-8")
    shutil.copy(Path(__file__).with_name("renamed.py"), folder / "tests")


def read_imports(source: str) -> set[str]:
    """Return the names that a module imports from FastDepends."""
    names = (match for found in IMPORT.findall(source) for match in "".join(found).split(","))
    return {name.strip() for name in names if name.strip()}


def main(arguments: Sequence[str]) -> int:
    """Run the tests, print how many pass, and fail if the results are not the expected ones."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "clone"
        download(*arguments or [REPOSITORY], folder)
        rename(folder)
        # The tests mark those that anyio's plugin must run.
        results = run_tests(folder, "-p", "no:asyncio")
    surprises = find_surprises(results, OTHERWISE)
    surprises += find_wrong_numbers(results, PAGE, SENTENCE)
    print(describe(f"FastDepends {VERSION}", results, OTHERWISE), *surprises, sep="\n")
    return int(bool(surprises))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
