"""Rules for the code and its tests, as far as a program can check them."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TESTS = sorted([*ROOT.glob("tests/**/test_*.py"), *ROOT.glob("examples/**/test_*.py")])
FILES = sorted(
    path for folder in ("src", "tests", "examples") for path in ROOT.glob(f"{folder}/**/*.py")
)


def relative(path: Path) -> str:
    """Name a file as a test's parameter."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_every_test_states_its_rule(path: Path) -> None:
    """A test has a docstring, which states the rule that it proves."""
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    ]

    silent = [node.name for node in functions if ast.get_docstring(node) is None]

    assert [] == silent


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_every_exception_to_a_check_has_its_code_and_reason(path: Path) -> None:
    """A comment that silences a tool has a code and a reason."""
    silencers = re.findall(
        r"# (?:noqa|type: ignore|pyright: ignore|pragma: no).*", path.read_text("utf-8")
    )

    unexplained = [comment for comment in silencers if not is_explained(comment)]

    assert [] == unexplained


def is_explained(comment: str) -> bool:
    """Tell whether a comment has a code and at least two words of a reason."""
    pattern = (
        r"# (noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*"
        r"|type: ignore\[[\w, -]+\]"
        r"|pyright: ignore\[\w+(, ?\w+)*\]"
        r"|pragma: no (cover|branch))"
        r"(?P<reason>.*)"
    )
    match = re.match(pattern, comment)
    return match is not None and len(re.findall(r"[a-zA-Z]{2,}", match["reason"])) >= 2


def test_the_oldest_versions_that_are_claimed_are_tested() -> None:
    """Each lower bound in pyproject.toml is a constraint of `oldest` or `oldest-mcp` of tox."""
    contents = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project = contents["project"]
    groups = [
        project["dependencies"],
        *project["optional-dependencies"].values(),
        contents["dependency-groups"]["tests-of-mcp"],
    ]
    claimed = {
        tuple(requirement.split(">="))
        for group in groups
        for requirement in group
        if ">=" in requirement
    }

    constraints = [path.read_text("utf-8") for path in ROOT.glob("tests/oldest*.txt")]
    pinned = re.findall(r"^([\w-]+)==([\d.]+)", "\n".join(constraints), re.MULTILINE)

    assert claimed == {(name, version.removesuffix(".0")) for name, version in pinned}


def test_the_extra_all_has_all_extras() -> None:
    """`pip install wares[all]` installs every framework, each in its newest version."""
    contents = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = contents["project"]["optional-dependencies"]

    named = [
        name for one in extras["all"] for name in re.findall(r"[\w]+", one) if name != "wares"
    ]

    assert sorted({*extras} - {"all"}) == sorted(named)


#: All but those of ASGI, FastAPI, Flask and Socket.IO.
SMALL_ADAPTERS = (
    "aiohttp",
    "celery",
    "click",
    "django",
    "faststream",
    "litestar",
    "mcp",
    "starlette",
    "taskiq",
)


@pytest.mark.parametrize("name", SMALL_ADAPTERS)
def test_adapters_are_small(name: str) -> None:
    """A file of an adapter has at most 200 lines, with its docstrings and comments."""
    files = [*ROOT.glob(f"src/wares/{name}.py"), *ROOT.glob(f"src/wares/{name}/*.py")]

    counts = {path.name: len(path.read_text("utf-8").splitlines()) for path in files}

    assert counts
    assert {} == {name: count for name, count in counts.items() if count > 200}


@pytest.mark.parametrize("name", SMALL_ADAPTERS)
def test_adapters_are_complete(name: str) -> None:
    """An adapter has a page, a reference, tests, their types, and an extra."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    missing = [
        path
        for path in (
            f"docs/how-to/{name}.md",
            f"docs/reference/{name}.md",
            f"tests/adapters/test_{name}.py",
            f"tests/typing/{name}_api.py",
        )
        if not (ROOT / path).is_file()
    ]

    assert [] == missing
    assert name in extras["optional-dependencies"]


@pytest.mark.parametrize("name", sorted({*SMALL_ADAPTERS} - {"starlette"}))
def test_examples_are_small(name: str) -> None:
    """The example of an adapter has 40 to 80 lines, in all of its files next to its tests."""
    files = [path.read_text("utf-8") for path in ROOT.glob(f"examples/{name}/*.py")]

    count = sum(len(text.splitlines()) for text in files)

    assert 40 <= count <= 80
