"""Run the tests of svcs on wares, and check that exactly the expected ones fail.

The tests come from svcs' source distribution, and are renamed: ``tox run -e svcs``.
"""

import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.support.suites import describe, find_surprises, find_wrong_numbers, run_tests
from tests.svcs_suite.differences import OTHERWISE, PRIVATE

VERSION = "26.2.0"

PAGE = "migrating-from-svcs.md"
SENTENCE = "of {run} tests of svcs 26.2 on Python 3.13, {passed} pass."

#: The renames of a migration, as docs/migrating-from-svcs.md shows them.
RENAMES = (("SVCSMiddleware", "WaresMiddleware"), (r"\b(_?)svcs", r"\1wares"))

#: Imports of private modules, which the code of a user does not contain.
PRIVATE_IMPORT = re.compile(r"^from wares\._\w+ import .*\n", re.MULTILINE)


def download(folder: Path) -> Path:
    """Download and unpack svcs' source distribution; return its folder."""
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


def main() -> int:
    """Run the tests, print how many pass, and fail if the results are not the expected ones."""
    with tempfile.TemporaryDirectory() as name:
        folder = download(Path(name))
        rename(folder)
        results = run_tests(folder)
    expected = {"private names": PRIVATE, **OTHERWISE}
    surprises = find_surprises(results, expected)
    surprises += find_wrong_numbers(results, PAGE, SENTENCE)
    print(describe(f"svcs {VERSION}", results, expected), *surprises, sep="\n")
    return int(bool(surprises))


if __name__ == "__main__":
    sys.exit(main())
