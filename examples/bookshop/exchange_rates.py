"""Exchange rates of the euro, from another server that may fail."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import httpx
from pydantic import BaseModel, Field, ValidationError

from .settings import Settings

log = logging.getLogger(__name__)

_CENT = Decimal("0.01")


class Currency(StrEnum):
    """The currencies in which prices can be shown; customers pay in euros."""

    USD = "USD"
    GBP = "GBP"
    CHF = "CHF"


@dataclass(frozen=True)
class ExchangeRate:
    """The price of one euro in another currency, on one day."""

    currency: Currency
    factor: Decimal
    as_of: date

    def convert(self, euros: Decimal) -> Decimal:
        """Convert a price.

        Args:
            euros: The price in euros.

        Returns:
            The price in this currency, rounded to the hundredth.
        """
        return (euros * self.factor).quantize(_CENT)


class ExchangeRates:
    """Fetches the rates of the day when they are first needed, and keeps them for a while.

    If they cannot be fetched, the last known rates are used. If there are none, there is no rate,
    but customers can still buy books.
    """

    def __init__(self, client: httpx.AsyncClient, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._answer: _Answer | None = None
        self._ask_again_at = 0.0
        self._asking = asyncio.Lock()

    async def find(self, currency: Currency) -> ExchangeRate | None:
        """Find the rate of a currency.

        Args:
            currency: The currency that the customer has chosen.

        Returns:
            The rate, or None if it is not known at the moment.
        """
        answer = await self._find_answer()
        if answer is None or currency not in answer.rates:
            return None
        return ExchangeRate(currency, answer.rates[currency], as_of=answer.published)

    async def _find_answer(self) -> _Answer | None:
        # A request that comes while another one fetches the rates waits for them.
        async with self._asking:
            if time.monotonic() >= self._ask_again_at:
                await self._refresh()
        return self._answer

    async def _refresh(self) -> None:
        try:
            self._answer = await self._ask()
        except (httpx.HTTPError, TimeoutError, ValidationError) as error:
            log.warning("no exchange rates: %s: %s", type(error).__name__, error)
            keep = self._settings.exchange_rates_retry
        else:
            keep = self._settings.exchange_rates_keep
        self._ask_again_at = time.monotonic() + keep

    async def _ask(self) -> _Answer | None:
        if self._settings.exchange_rates_url is None:
            return None
        async with asyncio.timeout(self._settings.exchange_rates_timeout):
            answer = await self._client.get(
                str(self._settings.exchange_rates_url), params={"base": "EUR"}
            )
        return _Answer.model_validate_json(answer.raise_for_status().content)


class _Answer(BaseModel):
    """The rates of a day: the European Central Bank's, as the server Frankfurter returns them."""

    published: date = Field(validation_alias="date")
    rates: dict[str, Annotated[Decimal, Field(gt=0)]]
