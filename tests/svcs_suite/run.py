"""Run svcs' own tests on wares, renamed, and compare what fails with what is to fail.

It takes svcs from its source distribution: ``tox run -e svcs``.
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

#: How one migrates, as docs/migrating-from-svcs.md shows it.
RENAMES = (("SVCSMiddleware", "WaresMiddleware"), (r"\b(_?)svcs", r"\1wares"))

#: What a user's code would not import.
PRIVATE_IMPORT = re.compile(r"^from wares\._\w+ import .*\n", re.MULTILINE)


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


def main() -> int:
    """Run them, tell how many pass, and fail if that is not what was expected."""
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
