"""Shown in docs/how-to/testing.md, and run by tests/test_pytest_plugin.py."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import wares.fastapi
from wares.fastapi import Inject


class Mailer:
    def send(self, text):
        raise ConnectionError("no mail server here")


class FakeMailer:
    def __init__(self):
        self.sent = []

    def send(self, text):
        self.sent.append(text)


@wares.fastapi.lifespan
async def lifespan(app, registry):
    registry.register_factory(Mailer, Mailer)
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/greet/{name}")
async def greet(name: str, mailer: Inject[Mailer]):
    mailer.send(f"hello {name}")


# [begin services]
def open_numbers():
    yield [1, 2, 3]


def test_a_service(registry, container):
    registry.register_factory(list, open_numbers)

    assert container.get(list) == [1, 2, 3]


# [end services]
# [begin async]
@pytest.mark.asyncio
async def test_an_asynchronous_service(registry, acontainer):
    async def open_numbers():
        yield [1, 2, 3]

    registry.register_factory(list, open_numbers)

    assert await acontainer.aget(list) == [1, 2, 3]


# [end async]
# [begin application]
@pytest.fixture
def client():
    with TestClient(app) as client:
        yield client


@pytest.mark.closes_containers
def test_an_application(client, overrides):
    mailer = FakeMailer()
    overrides.on(client).override_value(Mailer, mailer)

    client.post("/greet/world")

    assert mailer.sent == ["hello world"]


# [end application]
