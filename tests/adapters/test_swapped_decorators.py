"""`inject` above a decorator of a framework that makes an object, such as a task, of a function."""

import functools

import attrs
import click
import flask
import litestar
import pytest
import pytest_asyncio
import taskiq
from celery import Celery
from faststream.nats import NatsBroker

import wares.django
from wares import Depends, Inject, InvalidRegistrationError, Registry, apply_types, inject


class Shop: ...


async def serve(number: int, shop: Inject[Shop]) -> str:
    raise AssertionError


def act(number: int, shop: Inject[Shop]) -> str:
    return f"{number} {type(shop).__name__}"


class Timed:
    """An object that a decorator makes, with or without the attributes of the function."""

    def __init__(self, function):
        self.function = function

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)

    def report(self):
        raise AssertionError


def make_task(function=act):
    # Other applications of Celery would get a shared task as well.
    return Celery("shop").task(shared=False)(function)


OBJECTS = {
    "celery": make_task,
    "taskiq": lambda: taskiq.InMemoryBroker().task(serve),
    "click": lambda: click.command()(act),
    "click group": lambda: click.group()(act),
    "flask command": lambda: flask.Flask("shop").cli.command("act")(act),
    "faststream": lambda: NatsBroker().subscriber("shop")(serve),
    "litestar": lambda: litestar.get("/")(serve),
    "litestar socket": lambda: litestar.websocket("/")(serve),
    "fixture": lambda: pytest.fixture(act),
    "fixture with options": lambda: pytest.fixture(scope="module")(act),
    "asynchronous fixture": lambda: pytest_asyncio.fixture(serve),
    "a class": lambda: Timed(act),
    "a class that wraps": lambda: functools.update_wrapper(Timed(act), act),
}


@pytest.mark.parametrize("decorate", [inject, apply_types])
@pytest.mark.parametrize("make", OBJECTS.values(), ids=OBJECTS)
def test_objects(make, decorate):
    """`inject` refuses an object whose methods would be lost, and tells to swap the decorators."""
    with pytest.raises(InvalidRegistrationError) as caught:
        decorate(make())

    message = str(caught.value)
    assert f"@{decorate.__name__} cannot decorate" in message
    assert (
        f"swap the two: put @{decorate.__name__} below, directly above the function" in message
    )


def test_their_names():
    """The message names the function that an object wraps, with its place, or else its class."""
    messages = []
    for make in (make_task, OBJECTS["click"]):
        with pytest.raises(InvalidRegistrationError) as caught:
            inject(make())
        messages.append(str(caught.value))

    task, command = messages
    assert f"cannot decorate act ({__file__}:{act.__code__.co_firstlineno}): " in task
    assert "cannot decorate an instance of Command: " in command


def test_what_cannot_be_called():
    """For an object that cannot be called, such as a task of Django, the advice is the same."""

    @attrs.frozen
    class Task:
        func: object

    with pytest.raises(InvalidRegistrationError, match=r"Task: it is not callable\.") as caught:
        inject(Task(act))

    assert "swap the two: put @inject below" in str(caught.value)


def test_a_container_for_a_task():
    """`wares.django.with_container` refuses such objects as well."""
    with pytest.raises(InvalidRegistrationError, match=r"put @with_container below") as caught:
        wares.django.with_container(make_task())

    assert "@with_container cannot decorate act (" in str(caught.value)


def test_the_right_order():
    """Below the decorator that makes the object, `inject` leaves the methods alone."""
    registry = Registry()
    registry.register_factory(Shop, Shop)

    task = make_task(inject(registry=registry)(act))

    assert "1 Shop" == task.apply([1]).get()


def test_objects_that_ask_themselves():
    """An object is injected if its `__call__` asks for services, or if it can only be called."""

    class Handler(Timed):
        def __call__(self, number, shop: Inject[Shop]):
            return self.function(number, shop)

    class Wrapper:
        def __call__(self, *args, **kwargs):
            return act(*args, **kwargs)

    registry = Registry()
    registry.register_factory(Shop, Shop)
    decorate = inject(registry=registry)

    served = [
        decorate(handler)(1)
        for handler in (
            Handler(act),
            functools.update_wrapper(Wrapper(), act),
            functools.partial(act),
            functools.lru_cache(act),
            inject(registry=registry, dependencies=[Depends(Shop)])(Timed(lambda number: "2")),
        )
    ]

    assert ["1 Shop", "1 Shop", "1 Shop", "1 Shop", "2"] == served


def test_calling_an_object():
    """`Container.call` calls a task like the function that it is made of."""
    registry = Registry()
    registry.register_factory(Shop, Shop)

    with registry.container() as container:
        result = container.call(make_task(), 1)

    assert "1 Shop" == result
