"""Prices in other currencies: the one service that asks another server.

Only the transport of its HTTP client is replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import HttpUrl

from wares.fastapi import get_registry

from ..application import create_application
from ..settings import Settings

RATES = {"amount": 1.0, "base": "EUR", "date": "2026-01-05", "rates": {"USD": 1.1234}}

Outside = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings of a shop that asks for rates."""
    return settings.model_copy(update={"exchange_rates_url": HttpUrl("https://rates.example/")})


def ask(application: FastAPI, outside: Outside, currency: str = "USD") -> list[Any]:
    """Request a book three times, while the other server answers as told."""
    with TestClient(application) as client:
        replacement = httpx.AsyncClient(transport=httpx.MockTransport(outside))
        with get_registry(application).override_value(httpx.AsyncClient, replacement):
            query = {"words": "moby", "currency": currency}
            return [client.get("/api/books", params=query).json() for _ in range(3)]


def test_price_is_converted(application: FastAPI) -> None:
    """The response has the day of the rates, and still the price in euros."""
    answer = ask(application, lambda _: httpx.Response(200, json=RATES))[0]

    book = answer["books"][0]
    assert ("14.50", "16.29") == (book["price"], book["converted_price"])
    assert ("2026-01-05", None) == (answer["rates_as_of"], answer["notice"])


def test_rates_are_asked_for_once(application: FastAPI) -> None:
    """Rates are kept for an hour."""
    questions: list[str] = []

    def outside(request: httpx.Request) -> httpx.Response:
        questions.append(str(request.url))
        return httpx.Response(200, json=RATES)

    ask(application, outside)

    assert ["https://rates.example/?base=EUR"] == questions


def unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no route to host", request=request)


@pytest.mark.parametrize(
    "outside",
    [
        unreachable,
        lambda _: httpx.Response(500),
        lambda _: httpx.Response(200, text="<h1>Under construction</h1>"),
        lambda _: httpx.Response(200, json={"date": "2026-01-05", "rates": {"USD": -1}}),
        lambda _: httpx.Response(200, json={"date": "2026-01-05", "rates": {}}),
    ],
    ids=["unreachable", "broken", "no JSON", "nonsense", "another currency"],
)
def test_without_rates_there_are_euros(outside: Outside, application: FastAPI) -> None:
    """Without rates, the books are shown with a notice."""
    answer = ask(application, outside)[0]

    book = answer["books"][0]
    assert ("14.50", None) == (book["price"], book["converted_price"])
    assert "No exchange rate for USD at the moment." == answer["notice"]


def test_whoever_does_not_answer_is_left_in_peace(application: FastAPI) -> None:
    """After a failure, the shop asks again after a minute."""
    questions: list[httpx.Request] = []

    def outside(request: httpx.Request) -> httpx.Response:
        questions.append(request)
        return unreachable(request)

    ask(application, outside)

    assert 1 == len(questions)


def test_last_known_rates_serve_on(settings: Settings) -> None:
    """If new rates cannot be fetched, the old ones are used."""
    forgetful = settings.model_copy(
        update={"exchange_rates_keep": 0.0, "exchange_rates_retry": 0.0}
    )
    answers = iter([httpx.Response(200, json=RATES), httpx.Response(500), httpx.Response(500)])

    converted = [
        answer["books"][0]["converted_price"]
        for answer in ask(create_application(forgetful), lambda _: next(answers))
    ]

    assert ["16.29"] * 3 == converted
