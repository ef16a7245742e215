"""The commands of this repository: `python3 run.py app` and `python3 run.py test`.

This script makes `.venv`, installs what the command needs, and runs the parts of the gate. It uses
only the standard library. tox.ini describes the environments of the other interpreters.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit(
        f"wares needs Python 3.11 or newer; this is Python {sys.version.split()[0]}"
        f" ({sys.executable}).\nRun the command with a newer one, for example:"
        f" python3.13 {' '.join(sys.argv)}"
    )

import concurrent.futures
import dataclasses
import functools
import hashlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
SCRIPTS = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
PYTHON = SCRIPTS / ("python.exe" if os.name == "nt" else "python")
COVERAGE = ENVIRONMENT / "coverage"

USAGE = """\
usage: python3 run.py COMMAND [ARGUMENTS]

  app      start the example application; it gets the ARGUMENTS
  test     run every check on this Python; --every-python adds the other interpreters of this
           machine, the oldest supported versions of the dependencies, and the wheel. ARGUMENTS
           are the names of single parts; pytest gets the arguments after --:
             python3 run.py test --every-python
             python3 run.py test lint mypy
             python3 run.py test core -- tests/test_imports.py
             python3 run.py test py312 oldest
  develop  install everything into .venv, for an editor and for pytest by hand
"""

NO_VENV = """\
This Python ({python}) cannot make virtual environments: it lacks the module "{module}".
On Debian and Ubuntu: sudo apt install python3-venv
Or run the command with another Python, 3.11 or newer."""

NO_INSTALL = """\
The packages could not be installed; see the messages of {installer} above. Without a connection to
the internet, it can use a mirror: set PIP_INDEX_URL, or index-url in pip's configuration."""

# Prints the version and the path of an interpreter, if the tests can run on it. Without the global
# interpreter lock, packages that the tests need support Python from 3.14 on.
INTRODUCTION = """\
import os, sys, sysconfig
threads = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else "-"
if (
    sys.version_info >= ((3, 14) if threads == "t" else (3, 11))
    and sys.version_info.releaselevel == "final"
    and sys.implementation.name == "cpython"
):
    print("%d %d %d" % sys.version_info[:3], threads, os.path.realpath(sys._base_executable))
"""

CLOSING_LINE = re.compile(r"=* ?\d+ (passed|failed|errors?|skipped)\b.* in [\d.]+s.*")

TESTS_ON_THEIR_OWN = {
    "HYPOTHESIS_PROFILE": "ci",
    # Seconds, so that a deadlock fails and does not hang. This is not in pyproject.toml, because it
    # would also end the session of a debugger.
    "PYTEST_TIMEOUT": "300",
}


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of the gate.

    Attributes:
        name: The name for the command line.
        about: What the part checks.
        command: The program, with its arguments.
        options: More arguments, which arguments after `--` replace.
        environment: The environment variables to set.
        after: The names of parts that must end before this one begins.
    """

    name: str
    about: str
    command: Sequence[str]
    options: Sequence[str] = ()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    after: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of a part.

    Attributes:
        part: The part.
        code: The exit code of its program.
        seconds: How long it took.
        closing_lines: The last lines of pytest, if the part runs it.
    """

    part: Part
    code: int
    seconds: float
    closing_lines: Sequence[str]


def measured(name: str, about: str, paths: Sequence[str]) -> Part:
    """Describe a part that runs tests and measures their coverage."""
    command = [str(PYTHON), "-m", "coverage", "run", "-m", "pytest"]
    environment = TESTS_ON_THEIR_OWN | {"COVERAGE_FILE": str(COVERAGE / name)}
    return Part(name, about, command, paths, environment)


# The tests that mostly wait for servers and workers, while the tests of another part run.
SERVERS = ["tests/adapters/conformance", "tests/adapters/socketio"]
# The tests that start other programs.
TOOLS = ["tests/test_pytest_plugin.py", "tests/test_commands.py"]
# The tests that try many sizes, graphs or moments. Other tests take their branches, too, and
# measuring these would take twice as long.
EXPLORING = [
    "tests/test_growth.py",
    "tests/test_interrupts.py",
    "tests/test_properties.py",
    "tests/test_stress.py",
    "tests/test_stress_of_graphs.py",
]
# The tests that try each moment at which another thread may run. Some branches are only theirs.
INTERLEAVINGS = "tests/test_interleavings.py"
# The tests that need other service containers, which only one environment of tox has.
PEERS = "tests/test_benchmarks.py"


def without(*paths: str) -> list[str]:
    """Write the options with which pytest leaves out *paths*."""
    return [f"--ignore={path}" for path in paths]


# The part that takes longest comes first.
PARTS = (
    measured(
        "servers",
        "the conformance tests of all adapters on real servers, and the tests of Socket.IO",
        SERVERS,
    ),
    measured(
        "core",
        "the tests of the core",
        ["tests", *without("tests/adapters", PEERS, *TOOLS, *EXPLORING)],
    ),
    measured(
        "adapters",
        "the other tests of adapters and tools, and the code of the documentation",
        [
            "tests/adapters",
            *without(*SERVERS),
            *TOOLS,
            "README.md",
            "CHANGELOG.md",
            "docs",
            "src",
        ],
    ),
    Part(
        "exploring",
        "the tests of the core that try many sizes, graphs and moments",
        [str(PYTHON), "-m", "pytest"],
        EXPLORING,
        TESTS_ON_THEIR_OWN,
    ),
    Part(
        "coverage",
        "the tests of the core and of the adapters took every branch",
        [str(PYTHON), str(Path(__file__).resolve()), "report-coverage"],
        after=("core", "servers", "adapters"),
    ),
    Part("pyright", "pyright, as Python 3.11", [str(PYTHON), "-m", "pyright", "--warnings"]),
    Part("mypy", "mypy, strict, as Python 3.11", [str(PYTHON), "-m", "mypy"]),
    Part(
        "docs",
        "the documentation, without a warning",
        [
            *(str(PYTHON), "-m", "sphinx", "--fail-on-warning", "--keep-going", "-b", "html"),
            *("-d", "docs/_build/doctrees", "docs", "docs/_build/html"),
        ],
    ),
    Part(
        "examples",
        "the tests of the example applications",
        [str(PYTHON), "-m", "pytest"],
        ["examples"],
        TESTS_ON_THEIR_OWN,
    ),
    Part("lint", "ruff: the rules", [str(PYTHON), "-m", "ruff", "check"], ["."]),
    Part("format", "ruff: the format", [str(PYTHON), "-m", "ruff", "format", "--check"], ["."]),
)

#: The tests for other interpreters: those of the core. Those of the adapters run on the newest
#: Python, and with the oldest versions on the oldest one. The workflows run all tests on all.
ELSEWHERE = ["tests", *without("tests/adapters", PEERS)]
#: The tests for interpreters with a global lock, between the oldest and the newest of them.
BETWEEN = [*ELSEWHERE, *without(INTERLEAVINGS, *EXPLORING)]
#: The tests for the oldest versions of the dependencies: those of adapters and of reading types.
OLDEST = [
    "tests/adapters",
    "tests/test_annotations.py",
    "tests/test_apply_types.py",
    "tests/test_public_types.py",
    "tests/test_signatures.py",
]
#: The tests for the oldest versions of MCP, which need newer versions of other packages.
OLDEST_MCP = [
    "tests/adapters/test_mcp.py",
    "tests/adapters/conformance/test_mcp.py",
    "docs/how-to/mcp.md",
    "examples/mcp",
]


def main(arguments: list[str]) -> int:
    """Run the command that the first argument names."""
    commands = {
        "app": start_application,
        "test": run_tests,
        "develop": install_everything,
        "report-coverage": report_coverage,
    }
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if name not in commands:
        print(USAGE)
        return 0 if name in {"-h", "--help"} else 2
    return commands[name](rest)


def start_application(arguments: list[str]) -> int:
    """Replace this process with the example application."""
    install("app")
    command = [str(PYTHON), "-m", "examples.bookshop", *arguments]
    os.chdir(ROOT)
    if os.name == "posix":  # so that a signal to this process reaches the application
        os.execv(PYTHON, command)  # noqa: S606 - no shell is wanted
    return subprocess.call(command)


def install_everything(_arguments: list[str]) -> int:
    """Install wares from this folder, with all tools for working on it."""
    install("develop")
    print(f"Ready: {PYTHON}")
    return 0


# The gate


def run_tests(arguments: list[str]) -> int:
    """Run the named parts of the gate, or all of them, and print how each ended."""
    begin = time.monotonic()
    names, options = split_at_dashes(arguments)
    install("develop")
    parts = choose_parts(names)
    if options:
        parts = [dataclasses.replace(part, options=options) for part in parts]
    shutil.rmtree(COVERAGE, ignore_errors=True)
    COVERAGE.mkdir()
    results = run_side_by_side(parts)
    for result in results:
        for line in result.closing_lines:
            print(f"{result.part.name:>9}: {line}")
    failed = [result.part.name for result in results if result.code != 0]
    seconds = time.monotonic() - begin
    if failed:
        print(f"Failed, see above: {', '.join(failed)}. {seconds:.0f} s in all.")
        return 1
    print(f"All {len(results)} parts passed, in {seconds:.0f} s.")
    return 0


def split_at_dashes(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Split the arguments at the first `--`."""
    position = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:position], arguments[position + 1 :]


def choose_parts(names: list[str]) -> list[Part]:
    """Choose the named parts; without a name, choose all parts for this Python."""
    own = {part.name: part for part in PARTS}
    every = "--every-python" in names
    names = [name for name in names if name != "--every-python"]
    others = find_other_parts() if every or set(names) - set(own) else {}
    # This is no part of the gate, and runs only if it is named.
    extra = {"benchmark": run_by_tox("benchmark", [])} if "benchmark" in names else {}
    known = own | others | extra
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"No such part: {', '.join(unknown)}. There are: {', '.join(known)}.")
    if names:
        return [known[name] for name in names]
    if not every:
        return list(own.values())
    # The parts that take longest come first, so that short parts fill the end.
    longest = [name for name in others if re.match("py|oldest$", name)]
    in_order = dict.fromkeys([*longest, "servers", "core", "adapters", *others, *own])
    # The part "installed" runs the examples, with the wheel.
    return [known[name] for name in in_order if name != "examples"]


def find_other_parts() -> dict[str, Part]:
    """Describe the parts that tox runs, for other interpreters and in other environments."""
    interpreters = find_interpreters()
    between = [one for one in interpreters if not one.is_threaded][1:-1]
    own = introduce(PYTHON)
    options: dict[str, Sequence[str]] = {"oldest": OLDEST}
    for interpreter in interpreters:
        print(f"Found Python {interpreter.version}: {interpreter.path}", flush=True)
        if own is None or interpreter.name != own.name:
            options[interpreter.name] = BETWEEN if interpreter in between else ELSEWHERE
    options |= {"installed": [], "oldest-mcp": OLDEST_MCP}
    if (ROOT / ".ci").is_dir():  # the source archive does not contain it
        options["package"] = []
    return {name: run_by_tox(name, interpreters, chosen) for name, chosen in options.items()}


def run_by_tox(
    name: str, interpreters: Sequence["Interpreter"], options: Sequence[str] = ()
) -> Part:
    """Describe a part that runs an environment of tox.ini, with default arguments for pytest.

    Each part has a working directory of its own, because parts that run at the same time would
    disturb each other while they build the package.
    """
    command = [str(PYTHON), "-m", "tox", "run", "--quiet", "--root", str(ROOT)]
    command += ["--workdir", str(ROOT / ".tox" / name)]
    command += ["-e", name, "--"]
    # uv looks for interpreters on PATH.
    found = [str(interpreter.path.parent) for interpreter in interpreters]
    path = os.pathsep.join([*found, os.environ.get("PATH", "")])
    return Part(name, "see tox.ini", command, options, {**environment_of_uv(), "PATH": path})


def run_side_by_side(parts: Sequence[Part]) -> list[Result]:
    """Run parts, several at the same time, and return their results."""
    # This is one more than there are processors, because tests of servers often wait.
    width = 1 + (os.cpu_count() or 2)
    is_alone = len(parts) == 1
    ended = {part.name: threading.Event() for part in parts}

    def run(part: Part) -> Result:
        for name in part.after:
            if name in ended:
                ended[name].wait()
        try:
            return run_part(part, is_alone=is_alone)
        finally:
            ended[part.name].set()

    # Parts that wait for others come last, so that they do not occupy a thread that others need.
    in_order = sorted(parts, key=lambda part: bool(part.after))
    with concurrent.futures.ThreadPoolExecutor(width) as pool:
        return list(pool.map(run, in_order))


def run_part(part: Part, *, is_alone: bool) -> Result:
    """Run a part, and print when it begins and ends; show its output if it fails or is alone."""
    say(f"{part.name} begins: {part.about}")
    begin = time.monotonic()
    environment = {**os.environ, **part.environment}
    environment["PATH"] = f"{SCRIPTS}{os.pathsep}{environment.get('PATH', '')}"
    lines = []
    with subprocess.Popen(
        [*part.command, *part.options],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None  # because of stdout=PIPE
        for line in process.stdout:
            lines.append(line)
            if is_alone:
                print(line, end="", flush=True)
    seconds = time.monotonic() - begin
    outcome = "passed" if process.returncode == 0 else "FAILED"
    shown = "" if process.returncode == 0 or is_alone else f"\n{''.join(lines)}"
    say(f"{part.name} {outcome} after {seconds:.0f} s{shown}")
    return Result(part, process.returncode, seconds, find_closing_lines(lines))


def say(text: str) -> None:
    """Print *text* with the time of day."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def find_closing_lines(lines: Iterable[str]) -> list[str]:
    """Find the last line of each run of pytest."""
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in lines]
    return [line for line in plain if CLOSING_LINE.fullmatch(line)]


def report_coverage(_arguments: list[str]) -> int:
    """Combine the coverage of the parts, and fail if a branch was not taken."""
    os.environ["COVERAGE_FILE"] = str(COVERAGE / "all")
    coverage = [str(PYTHON), "-m", "coverage"]
    # In a directory, coverage would combine only files that begin with the name of its result.
    measurements = [str(path) for path in COVERAGE.iterdir()]
    combined = subprocess.call([*coverage, "combine", "--quiet", *measurements], cwd=ROOT)
    return combined or subprocess.call([*coverage, "report"], cwd=ROOT)


# The environment


def install(group: str) -> None:
    """Install a group of requirements into `.venv`, unless it is installed already."""
    stamp = ENVIRONMENT / f".installed-{group}"
    contents = describe_contents()
    if PYTHON.exists() and stamp.exists() and stamp.read_text("utf-8") == contents:
        return
    make_environment()
    print(f"Installing into {ENVIRONMENT} (once) ...", flush=True)
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    if subprocess.call([*pip, "uv"]) != 0:
        sys.exit(NO_INSTALL.format(installer="pip"))
    uv = [str(PYTHON), "-m", "uv", "pip", "install", "--quiet", "--python", str(PYTHON)]
    what = ["--editable", ".", "--group", group]
    if subprocess.call([*uv, *what], cwd=ROOT, env=environment_of_uv()) != 0:
        sys.exit(NO_INSTALL.format(installer="uv"))
    stamp.write_text(contents, "utf-8")


@functools.cache
def environment_of_uv() -> dict[str, str]:
    """Make uv trust the system's certificates, and use the package index that pip uses."""
    command = [str(PYTHON), "-m", "pip", "config", "get", "global.index-url"]
    configured = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    index = os.environ.get("PIP_INDEX_URL") or configured.strip()
    chosen = {"UV_DEFAULT_INDEX": index} if index else {}
    return {"UV_SYSTEM_CERTS": "1", **chosen, **os.environ}


def describe_contents() -> str:
    """Return a text that changes whenever the environment must be updated."""
    requirements = (ROOT / "pyproject.toml").read_bytes()
    return f"{ROOT} {hashlib.sha256(requirements).hexdigest()}"


def make_environment() -> None:
    """Make `.venv`, unless it exists and works."""
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


@dataclasses.dataclass(frozen=True, order=True)
class Interpreter:
    """A Python that can run the tests.

    Attributes:
        numbers: Its version.
        is_threaded: Whether it was built to run without the global interpreter lock.
        path: The path of its executable.
    """

    numbers: tuple[int, ...]
    is_threaded: bool
    path: Path

    @property
    def version(self) -> str:
        """The version as text, such as ``3.13.1``."""
        return ".".join(map(str, self.numbers)) + "t" * self.is_threaded

    @property
    def name(self) -> str:
        """The name of the part that runs the tests on it."""
        return f"py{self.numbers[0]}{self.numbers[1]}" + "t" * self.is_threaded


def find_interpreters() -> list[Interpreter]:
    """Find the newest interpreter of each kind on PATH and among pyenv's, oldest first."""
    newest: dict[str, Interpreter] = {}
    for path in {candidate.resolve() for candidate in find_candidates()}:
        found = introduce(path)
        if found is not None:
            newest[found.name] = max(newest.get(found.name, found), found)
    return sorted(newest.values())


def find_candidates() -> Iterator[Path]:
    """Yield the files that are named like interpreters."""
    yield Path(sys.executable)
    for directory in search_directories():
        if directory.is_dir():
            for path in directory.iterdir():
                if re.fullmatch(r"python(3(\.\d+t?)?)?(\.exe)?", path.name):
                    yield path


def search_directories() -> Iterable[Path]:
    """List the directories that may contain interpreters.

    pyenv's shims are left out: they are scripts that choose one of pyenv's versions, and the list
    contains these versions themselves.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    on_path = [Path(name) for name in os.get_exec_path() if name]
    of_pyenv = [version / "bin" for version in sorted(pyenv.glob("versions/*"))]
    return [path for path in (*on_path, *of_pyenv) if path.name != "shims"]


def introduce(path: Path) -> Interpreter | None:
    """Ask an interpreter for its version; return None if the tests cannot run on it."""
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
    *numbers, threads, place = answer.stdout.strip().split(" ", 4)
    return Interpreter(tuple(map(int, numbers)), threads == "t", Path(place))


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # some terminals lack the check marks of tox
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
