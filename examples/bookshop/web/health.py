"""Whether the shop can work, at ``/healthy``, for load balancers and their like.

Knows how pings are run. Must not know what they check: services bring their own.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus

from fastapi import APIRouter, Response
from pydantic import BaseModel

from wares import ServicePing
from wares.fastapi import DepContainer

log = logging.getLogger(__name__)

_SECONDS_TO_WAIT = 5

routes = APIRouter(tags=["health"])


class Health(BaseModel):
    """Which services answered, and which did not. Why not is in the log, and only there."""

    ok: list[str]
    failing: list[str]


@routes.get("/healthy", responses={HTTPStatus.SERVICE_UNAVAILABLE.value: {"model": Health}})
async def check_health(container: DepContainer, response: Response) -> Health:
    """Ping all services that can be pinged."""
    pings = container.get_pings()
    answers = await asyncio.gather(*map(_answers, pings))
    answered = {ping.name: answer for ping, answer in zip(pings, answers, strict=True)}
    health = Health(
        ok=[name for name, answer in answered.items() if answer],
        failing=[name for name, answer in answered.items() if not answer],
    )
    if health.failing:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return health


async def _answers(ping: ServicePing) -> bool:
    try:
        async with asyncio.timeout(_SECONDS_TO_WAIT):
            await ping.aping()
    except Exception:
        log.exception("service %s does not answer", ping.name)
        return False
    return True
