"""Tests of imports: they go in one direction, and the core imports no framework.

The tests read the source rather than a running interpreter, so that an import inside a function
counts too. The layers concern imports that run; there are no circles, not even through imports
for type checkers (`if TYPE_CHECKING:`).
"""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import wares

SOURCE = Path(__file__).parent.parent / "src" / "wares"

# What is not an adapter, lowest first: each may import only what stands in an earlier line, or
# in its own package. What is in no line is an adapter, and may import all up to "_adapters".
LAYERS = (
    {"_core", "_graph", "exceptions"},
    {"_inject", "_health"},
    {"health", "observers", "__init__"},
    {"_adapters"},
    {"an adapter", "opentelemetry", "pytest_plugin", "testing"},
    {"_cli"},
    {"__main__"},
)

# What is not in the standard library, by the modules that may import it. All may import CORE.
CORE = {"attrs", "typing_extensions"}
OUTSIDE = {
    "_inject/casting.py": {"pydantic"},
    "starlette": {"starlette"},
    "fastapi": {"fastapi", "starlette"},
    "flask": {"click", "flask", "werkzeug"},
    "aiohttp": {"aiohttp"},
    "faststream": {"faststream"},
    "socketio": {"socketio", "engineio", "pydantic", "pydantic_core"},
    "celery": {"celery"},
    "django": {"django", "asgiref"},
    "litestar": {"litestar"},
    "mcp": {"mcp", "fastmcp"},
    "taskiq": {"taskiq"},
    "testing": {"pytest"},
    "pytest_plugin": {"pytest"},
    "opentelemetry": {"opentelemetry"},
    "_cli": {"click", "rich"},
    "__main__": {"click", "rich"},
}

# What methods of the core hand over to modules that stand upon it: imported at the call.
AT_THE_CALL = {"_core/container.py": {"_graph/graph.py", "_inject/calling.py"}}

# annotationlib is new in Python 3.14, and imported only there.
STANDARD = sys.stdlib_module_names | {"annotationlib"}

MODULES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))


def part_of(path: str) -> str:
    """Name the file, or the package, at the top of the source that a file belongs to."""
    return path.removesuffix(".py").split("/")[0]


PUBLIC_MODULES = sorted({part_of(path) for path in MODULES if not path.startswith("_")})


def layer_of(part: str) -> int:
    """Return how high in the layout a file or package stands."""
    name = part if any(part in layer for layer in LAYERS) else "an adapter"
    return next(number for number, layer in enumerate(LAYERS) if name in layer)


def imports_of(path: str, *, for_types: bool = False) -> Iterator[str]:
    """Yield the full name of each module or object that a file imports."""
    pending: list[ast.AST] = [ast.parse((SOURCE / path).read_text("utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse + (node.body if for_types else []))
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        pending.extend(ast.iter_child_nodes(node))


def file_of(name: str) -> str:
    """Return the file of ours in which something of this full name is."""
    parts = name.split(".")[1:]
    while parts:
        for path in ("/".join(parts) + ".py", "/".join([*parts, "__init__.py"])):
            if (SOURCE / path).exists():
                return path
        parts.pop()
    return "__init__.py"


def files_imported_by(path: str, *, for_types: bool = False) -> set[str]:
    """Return the files of ours that a file imports from, itself not among them."""
    names = [name for name in imports_of(path, for_types=for_types) if is_ours(name)]
    return {file_of(name) for name in names} - {path} - AT_THE_CALL.get(path, set())


def is_ours(name: str) -> bool:
    """Tell whether the full name of a module or object belongs to wares."""
    return name.split(".", maxsplit=1)[0] == "wares"


def full_modules_after(statement: str) -> set[str]:
    """Run a statement in a new interpreter and return the modules that it has then."""
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True
    )
    return set(answer.stdout.split())


def modules_after(statement: str) -> set[str]:
    """Return the modules after a statement by their top names."""
    return {name.split(".")[0] for name in full_modules_after(statement)}


@pytest.mark.parametrize("path", MODULES)
def test_imports_go_upwards(path: str) -> None:
    """A module imports only its own package and what stands below it in the layout."""
    part = part_of(path)
    imported = {part_of(file) for file in files_imported_by(path)} - {part}

    too_high = {other for other in imported if layer_of(other) >= layer_of(part)}
    if layer_of(part) == layer_of("an adapter"):  # one adapter may stand on another
        too_high = {other for other in imported if layer_of(other) > layer_of(part)}
    if part in LAYERS[0]:
        too_high -= LAYERS[0]

    assert set() == too_high


def test_no_imports_go_in_circles() -> None:
    """No module imports another that needs it, also not for type checkers only.

    The public `__init__.py` is left out where names are for type checkers: it shows adapters.
    """
    graph = {
        path: files_imported_by(path, for_types=path != "__init__.py")
        for path in MODULES
        if path != "__main__.py"
    }

    order = list(graphlib.TopologicalSorter(graph).static_order())

    assert set(graph) == set(order)


@pytest.mark.parametrize("path", MODULES)
def test_frameworks_are_imported_in_their_adapter_only(path: str) -> None:
    """A module imports the standard library, the core's two dependencies and its framework."""
    own = OUTSIDE.get(path, OUTSIDE.get(part_of(path), set()))
    allowed = CORE | own | {"wares"} | STANDARD

    imported = {name.split(".")[0] for name in imports_of(path)}

    assert set() == imported - allowed


def test_import_wares_imports_no_framework() -> None:
    """`import wares` brings attrs, typing_extensions, the standard library, and no asyncio."""
    before = modules_after("")
    loaded = full_modules_after("import wares")

    after = {name.split(".")[0] for name in loaded}

    assert "asyncio" not in after
    assert {"wares.exceptions"} == loaded & {f"wares.{module}" for module in PUBLIC_MODULES}

    foreign = after - before - STANDARD
    assert {"wares", "attrs", "attr", "typing_extensions"} >= foreign


@pytest.mark.parametrize("name", wares.__all__)
def test_each_public_name_is_there(name: str) -> None:
    """Each public name can be had, and is shown by `dir`."""
    assert hasattr(wares, name)
    assert name in dir(wares)


def test_no_other_name_is_there() -> None:
    """A wrong name is an AttributeError, as for any module."""
    with pytest.raises(AttributeError, match="Regestry"):
        wares.Regestry  # type: ignore[attr-defined]  # noqa: B018  # that is the point


def test_public_modules_are_attributes() -> None:
    """After `import wares` each adapter is there, imported when it is first used."""
    modules = [module for module in PUBLIC_MODULES if module != "mcp" or find_spec("mcp")]
    # Another adapter may have brought it already.
    program = (
        f"import wares\nfor name in {modules}: vars(wares).pop(name, 0), getattr(wares, name)"
    )

    assert {f"wares.{module}" for module in modules} <= full_modules_after(program)


def test_type_checkers_know_public_modules() -> None:
    """Each is named in `__init__.py`, so that a misspelt one is an error for type checkers."""
    shown = set(imports_of("__init__.py", for_types=True)) - set(imports_of("__init__.py"))

    assert {f"wares.{module}" for module in PUBLIC_MODULES} <= shown


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
    before = modules_after("")

    after = modules_after(f"import wares.{adapter}")

    assert set() == (after - before) & others


def test_types_are_shipped() -> None:
    """The package says that it is typed (PEP 561)."""
    assert (SOURCE / "py.typed").is_file()
