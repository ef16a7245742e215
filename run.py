"""The two commands: `python3 run.py app` and `python3 run.py test`.

Knows how to make `.venv`, what a command needs installed in it, and which interpreters this
machine has; needs nothing but the standard library. Must not know what the application or
the tests do.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit(
        f"wares needs Python 3.11 or newer; this is Python {sys.version.split()[0]}"
        f" ({sys.executable}).\nRun the command with a newer one, for example:"
        f" python3.13 {' '.join(sys.argv)}"
    )

import hashlib
import importlib.util
import io
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

USAGE = """\
usage: python3 run.py COMMAND [ARGUMENTS]

  app      start the example application; it gets the ARGUMENTS
  test     run every check, on every Python found; ARGUMENTS name single parts:
             python3 run.py test lint mypy
             python3 run.py test py313 -- tests/test_imports.py
  develop  install everything into .venv, for an editor and for pytest by hand
"""

NO_VENV = """\
This Python ({python}) cannot make virtual environments: it lacks the module "{module}".
On Debian and Ubuntu: sudo apt install python3-venv
Or run the command with another Python, 3.11 or newer."""

NO_INSTALL = """\
pip could not install what is needed: its own words are above. Without a connection to the
internet it can use a mirror, set by its usual configuration (PIP_INDEX_URL and the like)."""

# What an interpreter tells of itself, if the tests can run on it.
INTRODUCTION = """\
import os, sys, sysconfig
if (
    sys.version_info >= (3, 11)
    and sys.version_info.releaselevel == "final"
    and sys.implementation.name == "cpython"
    and not sysconfig.get_config_var("Py_GIL_DISABLED")
):
    print("%d %d %d " % sys.version_info[:3] + os.path.realpath(sys._base_executable))
"""

CLOSING_LINE = re.compile(r"=* ?\d+ (passed|failed|errors?|skipped)\b.* in [\d.]+s.*")

PARTS_ON_ONE_PYTHON = ("oldest", "examples", "peers", "lint", "mypy", "pyright", "docs")


def main(arguments: list[str]) -> int:
    """Run the command that the first argument names."""
    commands = {"app": start_application, "test": run_tests, "develop": install_everything}
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if name not in commands:
        print(USAGE)
        return 0 if name in {"-h", "--help"} else 2
    return commands[name](rest)


def start_application(arguments: list[str]) -> int:
    """Start the example application in the place of this process."""
    install("app")
    command = [str(PYTHON), "-m", "examples.bookshop", *arguments]
    os.chdir(ROOT)
    if os.name == "posix":  # where a signal sent to this process shall reach the application
        os.execv(PYTHON, command)  # noqa: S606 - no shell is wanted
    return subprocess.call(command)


def install_everything(_arguments: list[str]) -> int:
    """Install wares as it stands here, and what each kind of work on it needs."""
    install("develop")
    print(f"Ready: {PYTHON}")
    return 0


def run_tests(arguments: list[str]) -> int:
    """Run the parts of the gate that are named, else all, and say how pytest ended."""
    install("tox")
    interpreters = find_interpreters()
    parts, options = split_at_dashes(arguments)
    parts = parts or [*map(name_part, interpreters), *PARTS_ON_ONE_PYTHON]
    for version, path in interpreters.items():
        print(f"Found Python {'.'.join(map(str, version))}: {path}")
    print(f"Running {', '.join(parts)}", flush=True)

    command = [str(PYTHON), "-m", "tox", "run-parallel", "--parallel-no-spinner"]
    command += ["--root", str(ROOT), "--discover", *map(str, interpreters.values())]
    command += ["-e", ",".join(parts)]
    if len(parts) == 1:
        command += ["--parallel-live"]
    if options:
        command += ["--", *options]
    result, closing_lines = run_and_watch(command)
    print("\n".join(closing_lines))
    print("All parts passed." if result == 0 else "Not all parts passed: see above.")
    return result


def split_at_dashes(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Part the arguments at the first `--`."""
    position = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:position], arguments[position + 1 :]


def name_part(version: tuple[int, ...]) -> str:
    """Name the part that runs the tests on this version of Python."""
    return f"py{version[0]}{version[1]}"


def run_and_watch(command: list[str]) -> tuple[int, list[str]]:
    """Run tox, show what it says, and return its result and pytest's closing lines."""
    closing_lines: list[str] = []
    part = ""
    environment = os.environ | ({"FORCE_COLOR": "1"} if sys.stdout.isatty() else {})
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None  # as it was asked for
        for line in process.stdout:
            print(line, end="", flush=True)
            plain = re.sub(r"\x1b\[[0-9;]*m", "", line).strip()
            heading = re.match(r"(\w+): commands\[\d+\]>", plain)
            if heading:
                part = heading[1]
            if CLOSING_LINE.fullmatch(plain):
                closing_lines.append(f"{part:>8}: {plain}")
    return process.returncode, closing_lines


# The environment


def install(group: str) -> None:
    """Bring a group of requirements into `.venv`, unless it is there already."""
    stamp = ENVIRONMENT / f".installed-{group}"
    contents = describe_contents()
    if PYTHON.exists() and stamp.exists() and stamp.read_text("utf-8") == contents:
        return
    make_environment()
    print(f"Installing into {ENVIRONMENT} (once) ...", flush=True)
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    for what in (["--upgrade", "pip>=25.1"], ["--editable", ".", "--group", group]):
        if subprocess.call([*pip, *what], cwd=ROOT) != 0:
            sys.exit(NO_INSTALL)
    stamp.write_text(contents, "utf-8")


def describe_contents() -> str:
    """Return what changes whenever the environment has to be brought up to date."""
    requirements = (ROOT / "pyproject.toml").read_bytes()
    return f"{ROOT} {hashlib.sha256(requirements).hexdigest()}"


def make_environment() -> None:
    """Make `.venv`, unless a working one is there."""
    if environment_works():
        return
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            sys.exit(NO_VENV.format(python=sys.executable, module=module))
    print(f"Making {ENVIRONMENT} with Python {sys.version.split()[0]} ...", flush=True)
    command = [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)]
    if subprocess.call(command) != 0:
        sys.exit(f"Could not make {ENVIRONMENT}: see above.")


def environment_works() -> bool:
    """Tell whether `.venv` has a Python that is new enough, with pip."""
    if not PYTHON.exists():
        return False
    question = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    answer = subprocess.run([str(PYTHON), "-c", question], capture_output=True, check=False)
    return answer.returncode == 0


# The interpreters


def find_interpreters() -> dict[tuple[int, ...], Path]:
    """Find the newest interpreter of each minor version on PATH and among pyenv's.

    Returns:
        The interpreters that can run the tests by their version, oldest first.
    """
    newest: dict[tuple[int, ...], tuple[tuple[int, ...], Path]] = {}
    for path in {candidate.resolve() for candidate in find_candidates()}:
        introduction = introduce(path)
        if introduction is not None:
            minor = introduction[0][:2]
            newest[minor] = max(newest.get(minor, introduction), introduction)
    return dict(sorted(newest.values()))


def find_candidates() -> Iterator[Path]:
    """Yield what may be an interpreter, by its name."""
    yield Path(sys.executable)
    for directory in search_directories():
        if directory.is_dir():
            for path in directory.iterdir():
                if re.fullmatch(r"python(3(\.\d+)?)?(\.exe)?", path.name):
                    yield path


def search_directories() -> Iterable[Path]:
    """Return where interpreters are looked for.

    pyenv's shims are left out: they are scripts that choose one of the versions, which are
    looked at themselves.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    on_path = [Path(name) for name in os.get_exec_path() if name]
    of_pyenv = [version / "bin" for version in sorted(pyenv.glob("versions/*"))]
    return [path for path in (*on_path, *of_pyenv) if path.name != "shims"]


def introduce(path: Path) -> tuple[tuple[int, ...], Path] | None:
    """Return the version and the real place of an interpreter, None if it will not do."""
    try:
        answer = subprocess.run(
            [str(path), "-I", "-c", INTRODUCTION],
            capture_output=True,
            encoding="utf-8",
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if not answer.stdout:
        return None
    *version, place = answer.stdout.strip().split(" ", 3)
    return tuple(map(int, version)), Path(place)


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # not every terminal has the ticks of tox
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
