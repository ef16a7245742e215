"""What `wares.fastapi` promises to type checkers; read by them, not run."""

import abc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Protocol, assert_type

from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from wares import Container, Registry
from wares.fastapi import (
    DepContainer,
    DepFunctionContainer,
    DepRegistry,
    FunctionInject,
    Inject,
    container,
    function_container,
    get_registry,
    lifespan,
)


class Clock(Protocol):
    """A protocol."""

    def now(self) -> float:
        """Tell the time."""
        ...


class Store(abc.ABC):
    """An abstract class."""

    @abc.abstractmethod
    def save(self) -> None:
        """Save."""


@lifespan
async def start(app: FastAPI, registry: Registry) -> AsyncIterator[None]:
    """Yield nothing."""
    yield


@lifespan
@asynccontextmanager
async def start_as_context(app: FastAPI, registry: Registry) -> AsyncIterator[dict[str, str]]:
    """Be an async context manager function."""
    yield {"colour": "blue"}


async def start_unchecked(app: FastAPI, registry: Registry) -> AsyncIterator[None]:
    """Be given options."""
    yield


@lifespan(scope="function", registry=Registry())
async def start_with_options(app: FastAPI, registry: Registry) -> AsyncIterator[None]:
    """Be decorated with options."""
    yield


assert_type(start.registry, Registry)
FastAPI(lifespan=start_with_options)
assert_type(start_with_options.registry, Registry)
lifespan(scope="session")  # type: ignore[call-overload]  # there is no such scope
FastAPI(lifespan=lifespan(start_unchecked, registry=Registry(), validate=False))
FastAPI(lifespan=lifespan(start_unchecked, scope="function"))
lifespan(start_unchecked, scope="session")  # type: ignore[call-overload]  # there is no such scope

app = FastAPI(lifespan=start)
FastAPI(lifespan=start_as_context)
app.dependency_overrides[container] = Registry().container

assert_type(get_registry(app), Registry)
assert_type(get_registry(TestClient(app)), Registry)


@app.get("/")
async def view(
    services: DepContainer,
    registry: DepRegistry,
    of_function: DepFunctionContainer,
    longhand: Annotated[Container, Depends(function_container, scope="function")],
    number: Inject[int],
    clock: Inject[Clock],
    store: Inject[Store],
    named: Inject[Annotated[str, "name"]],
    numbers: Inject[list[int]],
    soon: FunctionInject[Store],
) -> None:
    """Take services of all kinds."""
    assert_type(services, Container)
    assert_type(await services.aget(Store), Store)
    assert_type(registry, Registry)
    assert_type(of_function, Container)
    assert_type(longhand, Container)
    assert_type(number, int)
    assert_type(clock, Clock)
    assert_type(store, Store)
    assert_type(named, str)
    assert_type(numbers, list[int])
    assert_type(soon, Store)
    number.title()  # type: ignore[attr-defined]  # a number has no title


@lifespan  # type: ignore[type-var]  # an application comes first
async def wrong_parameter(app: int, registry: Registry) -> AsyncIterator[None]:
    """Take no application."""
    yield
