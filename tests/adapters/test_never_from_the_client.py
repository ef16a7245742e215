"""Tests of services that clients try to send: FastAPI reads none of them."""

import dataclasses
import enum
import subprocess
import sys
import typing
from typing import Annotated, Any, NamedTuple, NewType

import fastapi
import pydantic
import pytest
import typing_extensions
from fastapi import APIRouter, FastAPI, Security, WebSocket

import wares
import wares.fastapi
from tests.adapters.serving import TestClient, client_of, started
from wares import Depends, Inject, Registry


class Model(pydantic.BaseModel):
    """A model that FastAPI would read from the body."""

    name: str = "server"
    admin: bool = False


@dataclasses.dataclass
class Data:
    """A class that FastAPI would read from the body."""

    name: str = "server"
    admin: bool = False


class Typed(typing.TypedDict):
    """And this."""

    name: str


class Tuple(NamedTuple):
    """And this."""

    name: str = "server"


class Plain:
    """A class that FastAPI refuses as a parameter."""

    name = "server"


class Colour(enum.Enum):
    """A class that FastAPI would read from the query."""

    RED = "red"
    BLUE = "blue"


Port = NewType("Port", int)
Alias = typing_extensions.TypeAliasType("Alias", Model)

#: A key of each shape, and its service.
SHAPES = [
    (Model, Model()),
    (Data, Data()),
    (Typed, {"name": "server"}),
    (Tuple, Tuple()),
    (Plain, Plain()),
    (Colour, Colour.RED),
    (Port, 5432),
    (Alias, Model()),
    (str, "server"),
    (int, 1),
    (bool, False),
    (bytes, b"server"),
    (list[int], [1]),
    (list[Model], [Model()]),
    (dict[str, Any], {"name": "server"}),
    (set[str], {"server"}),
    (Annotated[str, "named"], "server"),
    (Annotated[Model, "named"], Model()),
    (fastapi.UploadFile, "no file"),
]

KEYS = [pytest.param(key, service, id=str(key)) for key, service in SHAPES]

#: What a client sends, by every way there is.
SENT = {
    "json": {"name": "mallory", "admin": True, "service": {"name": "mallory"}},
    "params": {"service": "mallory", "name": "mallory", "admin": "true"},
    "headers": {"service": "mallory", "name": "mallory"},
    "cookies": {"service": "mallory"},
}


class App:
    """An application that keeps what its handlers have received."""

    def __init__(self, services: dict[Any, object]) -> None:
        @wares.fastapi.lifespan
        async def lifespan(app: FastAPI, registry: Registry):
            for key, service in services.items():
                registry.register_value(key, service)
            yield

        self.app = FastAPI(lifespan=lifespan)
        self.received: list[object] = []

    def receive(self, service: object) -> str:
        self.received.append(service)
        return "done"

    def send(self, path: str = "/") -> Any:
        """Send all that a client can; give the answer."""
        with TestClient(self.app) as client:
            client.cookies.update(SENT["cookies"])
            others = {name: SENT[name] for name in ("json", "params", "headers")}
            return client.post(path, **others)

    def read_parameters(self) -> list[object]:
        """Give what the documentation says that clients may send."""
        paths = self.app.openapi()["paths"].values()
        operations = [operation for path in paths for operation in path.values()]
        return [
            operation[name]
            for operation in operations
            for name in ("parameters", "requestBody")
            if name in operation
        ]


def with_inject(key, receive):
    def view(service: Inject[key]):
        return receive(service)

    return view


def with_the_adapters_inject(key, receive):
    def view(service: wares.fastapi.Inject[key]):
        return receive(service)

    return view


def with_function_inject(key, receive):
    def view(service: wares.fastapi.FunctionInject[key]):
        return receive(service)

    return view


def with_a_coroutine(key, receive):
    async def view(service: Inject[key]):
        return receive(service)

    return view


def with_a_default(key, receive):
    async def view(service: Inject[key] = "a default"):
        return receive(service)

    return view


def with_a_generic_alias(key, receive):
    T = typing.TypeVar("T")
    Service = Inject[T]

    async def view(service: Service[key]):
        return receive(service)

    return view


def with_string_annotations(key, receive):
    names = {"Inject": Inject, "key": key, "receive": receive}
    exec("async def view(service: 'Inject[key]'):\n    return receive(service)", names)
    return names["view"]


def within_a_dependency(key, receive):
    def get(service: Inject[key]):
        return service

    async def view(service: Annotated[object, Depends(get)]):
        return receive(service)

    return view


def within_a_dependency_of_fastapi(key, receive):
    def get(service: Inject[key]):
        return service

    async def view(service: Annotated[object, fastapi.Depends(get)]):
        return receive(service)

    return view


def within_a_class(key, receive):
    class Holder:
        def __init__(self, service: Inject[key]):
            self.service = service

    async def view(holder: Annotated[Holder, Depends()]):
        return receive(holder.service)

    return view


def within_a_class_as_default(key, receive):
    class Holder:
        def __init__(self, service: Inject[key]):
            self.service = service

    async def view(holder: Holder = Depends()):
        return receive(holder.service)

    return view


def within_security(key, receive):
    async def get(service: Inject[key], scopes: fastapi.security.SecurityScopes):
        return service, scopes.scopes

    async def view(found: Annotated[object, Security(get, scopes=["admin"])]):
        service, scopes = found
        assert ["admin"] == scopes
        return receive(service)

    return view


WAYS = [
    with_inject,
    with_the_adapters_inject,
    with_function_inject,
    with_a_coroutine,
    with_a_default,
    with_a_generic_alias,
    with_string_annotations,
    within_a_dependency,
    within_a_dependency_of_fastapi,
    within_a_class,
    within_a_class_as_default,
    within_security,
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("key", "service"), KEYS)
def test_a_path_operation(way, key, service):
    """A service is the registered object, whatever its type and whatever a client sends."""
    generic_over_names = way is with_a_generic_alias and hasattr(key, "__metadata__")
    app = App({key.__origin__ if generic_over_names else key: service})
    app.app.post("/", response_model=None)(way(key, app.receive))

    answer = app.send()

    assert ("done", [service]) == (answer.json(), app.received)
    assert [] == app.read_parameters()


@pytest.mark.parametrize("key", [key for key, _ in SHAPES], ids=str)
def test_nothing_is_registered(key):
    """A service that is not registered is an error or an empty list, never client data."""
    app = App({})
    app.app.router.lifespan_context = wares.fastapi.lifespan(_do_nothing, validate=False)
    app.app.post("/", response_model=None)(with_inject(key, app.receive))

    if typing.get_origin(key) is list:
        app.send()
        assert [[]] == app.received
        return
    with pytest.raises(wares.ServiceNotFoundError):
        app.send()
    assert [] == app.received


async def _do_nothing(app: FastAPI, registry: Registry):
    yield


@pytest.mark.parametrize(("key", "service"), KEYS)
def test_a_name_as_the_key(key, service):
    """`Depends` with a string asks for a service, whatever the annotation."""
    app = App({"a name": service})

    @app.app.post("/", response_model=None)
    async def view(first: Annotated[key, Depends("a name")], second: key = Depends("a name")):
        app.receive(first)
        return app.receive(second)

    app.send()

    assert [service, service] == app.received
    assert [] == app.read_parameters()


@pytest.mark.parametrize(("key", "service"), KEYS)
def test_routers_and_applications_within(key, service):
    """Dependencies of routers, included routers and mounted applications read no client data."""
    app = App({key: service})

    async def check(service: Inject[key]) -> None:
        app.receive(service)

    router = APIRouter(dependencies=[Depends(check)])
    router.post("/", response_model=None)(with_inject(key, app.receive))
    app.app.include_router(router, prefix="/router")
    inner = FastAPI()
    inner.post("/", response_model=None)(with_inject(key, app.receive))
    app.app.mount("/inner", inner)

    app.send("/router/")
    app.send("/inner/")

    assert [service] * 3 == app.received
    assert [] == app.read_parameters()


@pytest.mark.parametrize(("key", "service"), KEYS)
def test_a_websocket(key, service):
    """A WebSocket endpoint gets the service, too."""
    app = App({key: service})

    @app.app.websocket("/")
    async def echo(websocket: WebSocket, service: Inject[key]):
        await websocket.accept()
        await websocket.send_text(app.receive(service))
        await websocket.close()

    with TestClient(app.app) as client:
        headers = SENT["headers"]
        with client.websocket_connect("/?service=mallory&name=m", headers=headers) as socket:
            socket.receive_text()

    assert [service] == app.received


def test_there_is_one_inject():
    """Wherever Inject is imported from, it is the same."""
    assert wares.fastapi.Inject is Inject
    assert Inject[Plain] == wares.fastapi.Inject[Plain]


ORDERS = {
    "wares first": "from wares import Inject, Registry; from fastapi import FastAPI",
    "fastapi first": "from fastapi import FastAPI; from wares import Inject, Registry",
    "adapter first": "import wares.fastapi; from fastapi import FastAPI; from wares import *",
    "marked before": (
        "from wares import *; Alias = Inject[dict]; hash(Alias); from fastapi import FastAPI"
    ),
}

PROGRAM = """
import asyncio, sys
{imports}
early = {early}

app = FastAPI()

@app.post("/")
async def view(service: early or Inject[dict]):
    raise AssertionError("it was read from the request")

print(app.openapi()["paths"]["/"]["post"].keys() & {{"parameters", "requestBody"}})
"""


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_of_imports(order):
    """FastAPI understands the markers in every order of imports."""
    early = "Alias" if order == "marked before" else "None"
    program = PROGRAM.format(imports=ORDERS[order], early=early)

    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert ("set()\n", "") == (found.stdout, found.stderr)


@pytest.mark.parametrize("marker", [Inject, Depends])
def test_a_marker_without_brackets(marker):
    """FastAPI refuses a marker that was not called, instead of reading the service from a body."""
    app = FastAPI()

    def in_annotated(service: Annotated[Model, marker]): ...
    def as_default(service: Model = marker): ...

    for view in (in_annotated, as_default):
        with pytest.raises(wares.InvalidRegistrationError, match=f"{marker.__name__} has no"):
            app.post("/")(view)


def test_a_bare_inject():
    """FastAPI refuses Inject as the whole annotation."""
    app = FastAPI()

    def view(service: Inject): ...

    with pytest.raises(wares.InvalidRegistrationError, match="Inject has no brackets"):
        app.post("/")(view)


def with_none_outside(key):
    def view(service: Inject[key] | None = None): ...

    return view


def in_a_list(key):
    async def view(service: list[Inject[key]]): ...

    return view


def within_annotated(key):
    def view(service: Annotated[Model, Inject[key]]): ...

    return view


def as_the_default(key):
    def view(service: Model = Inject[key]): ...

    return view


def of_what_only_type_checkers_see(key):
    names = {"typing": typing, "sys": sys}
    view = "def view(service: 'Inject[Secret]'): ..."
    exec(f"if typing.TYPE_CHECKING:\n    from nowhere import Inject, Secret\n{view}", names)
    return names["view"]


def of_what_is_defined_within_a_function(key):
    def view(service: "Inject[Local]"): ...  # FastAPI looks into the module only

    class Local: ...

    return view


def hidden_from_fastapi(key):
    def view(service: "Inject[key]"): ...

    view.keep = lambda: key
    return view


def of_what_means_something_else_in_the_module(key):
    names = {"Inject": list}
    exec(
        "def make(Inject):\n"
        "    def view(service: 'Inject[int]'): return Inject\n"
        "    return view\n",
        names,
    )
    return names["make"](Inject)


@pytest.mark.parametrize("way", [with_none_outside, in_a_list])
@pytest.mark.parametrize(("key", "service"), KEYS)
def test_a_marker_within_other_brackets(way, key, service):
    """FastAPI refuses an endpoint with a marker that it would overlook, when it is added."""
    app = FastAPI()

    with pytest.raises(wares.InvalidRegistrationError, match=r"Inject\[T \| None\] instead of"):
        app.post("/", response_model=None)(way(key))


OVERLOOKED = [
    within_annotated,
    as_the_default,
    of_what_only_type_checkers_see,
    of_what_is_defined_within_a_function,
    hidden_from_fastapi,
    of_what_means_something_else_in_the_module,
]


@pytest.mark.parametrize("validate", [True, False])
@pytest.mark.parametrize("is_deep", [False, True])
@pytest.mark.parametrize("way", OVERLOOKED)
async def test_a_marker_that_fastapi_overlooks(way, is_deep, validate):
    """An application does not start where FastAPI would read a marked parameter from a request."""
    lifespan = wares.fastapi.lifespan(_do_nothing, validate=validate)
    app = FastAPI(lifespan=lifespan)
    view = way(Model)
    try:
        if is_deep:
            app.get("/", dependencies=[Depends(view)])(lambda: None)
        else:
            app.post("/", response_model=None)(view)
    except pydantic.errors.PydanticUndefinedAnnotation:
        # Some versions look at names when the endpoint is added.
        return

    with pytest.raises(wares.InvalidRegistryError) as caught:
        async with started(app):
            pass

    (problem,) = caught.value.exceptions
    assert "service" == problem.parameter
    assert "view" in str(problem)


async def test_a_parameter_without_an_annotation():
    """A parameter that says nothing is FastAPI's, which reads it from the query."""
    app = FastAPI(lifespan=wares.fastapi.lifespan(_do_nothing))
    app.get("/")(lambda text: text)

    async with client_of(app) as client:
        response = await client.get("/?text=5")

    assert "5" == response.json()


@pytest.mark.parametrize("key", ["Model", "name"])
def test_a_name_in_the_brackets(key):
    """FastAPI would not find the class that quotes in the brackets name: they are refused."""
    app = FastAPI()

    def view(service: Inject[key]): ...

    with pytest.raises(wares.InvalidRegistrationError, match=f"Depends\\('{key}'"):
        app.post("/")(view)
