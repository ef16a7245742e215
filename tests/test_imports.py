"""Imports go one way, and the core knows no framework: the layout of the source, proven.

Read from the source rather than from a running interpreter, so that an import inside a
function counts too. Imports for type checkers only (`if TYPE_CHECKING:`) are no dependency.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import wares

SOURCE = Path(__file__).parent.parent / "src" / "wares"

# Every module, lowest first: each may import only those that stand in an earlier line. Modules
# in one line know nothing of each other.
LAYOUT = (
    {"_keys", "_lock", "_sources", "_bodies"},
    {"exceptions"},
    {"_markers"},
    {"_annotations"},
    {"_signatures"},
    {"_recipes"},
    {"_observation", "_compositions", "_log"},
    {"_calls"},
    {"_drawing", "_graph_page"},
    {"_graph"},
    {"_shield"},
    {"_cleanups"},
    {"_records"},
    {"_registry"},
    {"_resolution"},
    {"_planning"},
    {"_claims"},
    {"_plan_writer"},
    {"_plans"},
    {"_pings"},
    {"_container"},
    {"_recording"},
    {"_checks", "_casting"},
    {"_askers"},
    {"_wrappers"},
    {"_injection", "_injected"},
    {"health"},
    {"wares"},
    {"_health_endpoint", "observers"},
    {"_lifespan"},
    {"asgi"},
    {"starlette"},
    {"_fastapi_routes"},
    {"_fastapi_trial"},
    {"_applications"},
    {"fastapi", "flask", "aiohttp", "faststream", "socketio"},
    {"celery", "click", "django", "litestar", "mcp", "taskiq", "testing"},
    {"pytest_plugin", "opentelemetry"},
    {"_targets"},
    {"_commands"},
    {"__main__"},
)

# What is not in the standard library, by the modules that may import it. All may import CORE.
CORE = {"attrs", "typing_extensions"}
OUTSIDE = {
    "_casting": {"pydantic"},
    "starlette": {"starlette"},
    "_fastapi_routes": {"fastapi", "starlette"},
    "_fastapi_trial": {"fastapi", "starlette"},
    "fastapi": {"fastapi", "starlette"},
    "flask": {"flask", "werkzeug"},
    "aiohttp": {"aiohttp"},
    "faststream": {"faststream"},
    "socketio": {"socketio", "engineio", "pydantic"},
    "celery": {"celery"},
    "django": {"django", "asgiref"},
    "litestar": {"litestar"},
    "mcp": {"mcp", "fastmcp"},
    "taskiq": {"taskiq"},
    "testing": {"pytest"},
    "pytest_plugin": {"pytest"},
    "opentelemetry": {"opentelemetry"},
    "_commands": {"click", "rich"},
    "__main__": {"click", "rich"},
}

# annotationlib is new in Python 3.14, and imported only there.
STANDARD = sys.stdlib_module_names | {"annotationlib"}

MODULES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))


def place_of(path: str) -> str:
    """Name the line of the layout that a file belongs to; a package stands for its files."""
    first = path.removesuffix(".py").split("/")[0]
    return "wares" if first == "__init__" else first


def level_of(place: str) -> int:
    """Return how high in the layout a module stands."""
    levels = [number for number, places in enumerate(LAYOUT) if place in places]
    assert levels, f"{place} has no place in the layout: give it one in LAYOUT"
    return levels[0]


def imports_of(path: str) -> Iterator[str]:
    """Yield the full name of each module or object that a file imports at run time."""
    pending: list[ast.AST] = [ast.parse((SOURCE / path).read_text("utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        pending.extend(ast.iter_child_nodes(node))


def imported_place(name: str) -> str:
    """Name the place in the layout of something imported from wares."""
    _, _, rest = name.partition(".")
    first = rest.split(".")[0]
    is_module = (SOURCE / f"{first}.py").exists() or (SOURCE / first / "__init__.py").exists()
    return first if is_module else "wares"


def modules_after(statement: str) -> set[str]:
    """Run a statement in a new interpreter and return the modules it has then, by top name."""
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True
    )
    return {name.split(".")[0] for name in answer.stdout.split()}


@pytest.mark.parametrize("path", MODULES)
def test_imports_go_upwards(path: str) -> None:
    """A module imports only modules that stand above it in the layout."""
    place = place_of(path)
    imported = {imported_place(name) for name in imports_of(path) if name.startswith("wares.")}

    too_low = {other for other in imported - {place} if level_of(other) >= level_of(place)}

    assert set() == too_low


@pytest.mark.parametrize("path", MODULES)
def test_frameworks_are_imported_in_their_adapter_only(path: str) -> None:
    """A module imports the standard library, the core's two dependencies and its framework."""
    allowed = CORE | OUTSIDE.get(place_of(path), set()) | {"wares"} | STANDARD

    imported = {name.split(".")[0] for name in imports_of(path)}

    assert set() == imported - allowed


def test_import_wares_imports_no_framework() -> None:
    """`import wares` brings the standard library, attrs and typing_extensions, nothing else."""
    before = modules_after("")

    after = modules_after("import wares")

    foreign = after - before - STANDARD
    assert {"wares", "attrs", "attr", "typing_extensions"} >= foreign


def test_what_few_use_is_imported_later() -> None:
    """`import wares` leaves drawing, injecting and composing for their first use."""
    program = (
        "import sys, wares\n"
        "print(*(name for name in ('_graph', '_injection', '_compositions', '_pings')\n"
        "        if f'wares.{name}' in sys.modules))"
    )
    command = [sys.executable, "-c", program]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "" == answer.stdout.strip()


@pytest.mark.parametrize("name", wares.__all__)
def test_each_public_name_is_there(name: str) -> None:
    """Each public name can be had, and is shown by `dir`."""
    assert hasattr(wares, name)
    assert name in dir(wares)


def test_no_other_name_is_there() -> None:
    """A wrong name is an AttributeError, as for any module."""
    with pytest.raises(AttributeError, match="Regestry"):
        wares.Regestry  # type: ignore[attr-defined]  # noqa: B018  # that is the point


@pytest.mark.parametrize(
    ("adapter", "others"),
    [
        ("asgi", {"starlette", "fastapi", "flask", "socketio", "pydantic"}),
        ("starlette", {"fastapi", "flask", "socketio", "pydantic"}),
        ("fastapi", {"flask", "socketio"}),
        ("flask", {"starlette", "fastapi", "socketio", "pydantic"}),
    ],
)
def test_an_adapter_imports_its_framework_only(adapter: str, others: set[str]) -> None:
    """An adapter brings no framework but its own."""
    if not (SOURCE / f"{adapter}.py").exists():
        pytest.skip(f"wares.{adapter} is not there yet")
    before = modules_after("")

    after = modules_after(f"import wares.{adapter}")

    assert set() == (after - before) & others


def test_types_are_shipped() -> None:
    """The package says that it is typed (PEP 561)."""
    assert (SOURCE / "py.typed").is_file()
