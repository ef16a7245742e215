"""Checks what is published, and what publishes it: `tox run -e package`.

Builds both archives from the tracked files, and checks their metadata, their contents and the
page for the package index; then the workflows and the other files for the repository's host; then
the spelling.
"""

from __future__ import annotations

import argparse
import email
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: What only the repository's host, or an editor, needs.
NOT_IN_ARCHIVES = re.compile(
    r"\.ci/|\.github/|\.editorconfig|\.readthedocs\.yaml|\.pre-commit-config\.yaml"
)

#: Which files follow which schema of check-jsonschema.
SCHEMAS = {
    "vendor.github-workflows": ".github/workflows/*.yml",
    "custom.github-workflows-require-timeout": ".github/workflows/*.yml",
    "vendor.github-issue-forms": ".github/ISSUE_TEMPLATE/[!c]*.yml",
    "vendor.github-issue-config": ".github/ISSUE_TEMPLATE/config.yml",
    "vendor.dependabot": ".github/dependabot.yml",
    "vendor.readthedocs": ".readthedocs.yaml",
    "vendor.citation-file-format": "CITATION.cff",
}


def main() -> int:
    """Run all checks, and return how many have failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="the folder in which the archives are kept")
    parser.add_argument("--version", help="the tag of the release, which names the version")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder, "dist")
        failed = not run("python", "-m", "build", "--outdir", built, copy_tracked(Path(folder)))
        archives = sorted(built.glob("*"))
        failures = [failed or len(archives) != 2]  # noqa: PLR2004  # one wheel, one source archive
        if archives:
            failures += check_archives(archives, options.version)
        failures += check_repository()
        if options.keep and not any(failures):
            shutil.copytree(built, options.keep, dirs_exist_ok=True)
    print(
        f"{sum(failures)} of {len(failures)} checks failed." if any(failures) else "All well."
    )
    return sum(failures)


def copy_tracked(folder: Path) -> Path:
    """Copy the tracked files, and new ones that are not ignored, for a build without leftovers."""
    tree = folder / "tree"
    for name in list_tracked():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tree / name)
    return tree


def list_tracked() -> list[str]:
    """List what is tracked or new, and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    return sorted(name for name in set(answer.stdout.split("\0")) if (ROOT / name).is_file())


def check_archives(archives: list[Path], tag: str | None) -> list[bool]:
    """Check the archives; tell of each check whether it failed."""
    wheel = next(path for path in archives if path.suffix == ".whl")
    source = next(path for path in archives if path.suffix == ".gz")
    return [
        not run("twine", "check", "--strict", *archives),
        not run("check-wheel-contents", wheel),
        tell("the source archive has what is tracked", compare_source(source)),
        tell("the page for the package index", find_relative_links(wheel)),
        tell("the tag names the version", compare_version(wheel, tag)),
    ]


def check_repository() -> list[bool]:
    """Check what is not in the archives; tell of each check whether it failed."""
    failures = [not run("validate-pyproject", "pyproject.toml")]
    for schema, pattern in SCHEMAS.items():
        files = sorted(ROOT.glob(pattern))
        failures.append(not run("check-jsonschema", "--builtin-schema", schema, *files))
    failures.append(not run("zizmor", "--offline", "--persona", "pedantic", ".github"))
    failures.append(not run("codespell"))
    if shutil.which("actionlint"):
        failures.append(not run("actionlint"))
    else:
        # Its package downloads a program while it is installed, which not every network allows.
        print("actionlint is not installed; the workflow that runs this has it.")
    return failures


def run(*command: str | Path) -> bool:
    """Run a checker, and tell whether it is content."""
    program, *rest = map(str, command)
    print(f"$ {program} {' '.join(Path(part).name for part in rest)}", flush=True)
    arguments = [sys.executable if program == "python" else program, *rest]
    return subprocess.call(arguments, cwd=ROOT) == 0


def tell(check: str, problems: Iterable[str]) -> bool:
    """Print the problems that a check has found, and tell whether there are any."""
    found = list(problems)
    print(f"{check}: {'FAILED' if found else 'ok'}", *found, sep="\n  ", flush=True)
    return bool(found)


def compare_source(archive: Path) -> list[str]:
    """Compare the source archive with the tracked files."""
    with tarfile.open(archive) as source:
        packed = {name.partition("/")[2] for name in source.getnames()} - {"PKG-INFO"}
    tracked = {name for name in list_tracked() if not NOT_IN_ARCHIVES.match(name)}
    missing = [f"missing: {name}" for name in sorted(tracked - packed)]
    return missing + [f"not tracked: {name}" for name in sorted(packed - tracked)]


def find_relative_links(wheel: Path) -> list[str]:
    """Find links of the page for the package index that lead nowhere there."""
    page = str(read_metadata(wheel).get_payload())
    return re.findall(r"\]\((?!https?:|#)[^)]*\)", page) or ([] if page else ["empty"])


def compare_version(wheel: Path, tag: str | None) -> list[str]:
    """Compare the version with the tag, if there is one."""
    version = read_metadata(wheel)["Version"]
    return [] if tag in {None, f"v{version}"} else [f"{tag} is not v{version}"]


def read_metadata(wheel: Path) -> email.message.Message:
    """Read the metadata of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


if __name__ == "__main__":
    sys.exit(main())
