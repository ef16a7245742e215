"""What `wares.django` promises to type checkers; read by them, not run."""

from typing import assert_type

from django.http import HttpRequest

from wares import Container, Inject, Registry
from wares.django import (
    aclose_registry,
    close_registry,
    get_registry,
    health_view,
    wares_from,
    with_container,
)

assert_type(get_registry(), Registry)
assert_type(wares_from(HttpRequest()), Container)
close_registry()
health_view(timeout=1.0)


@with_container
def task(number: int, registry: Inject[Registry]) -> str:
    """Be called without its services, as an injected function is."""
    return str(number)


@with_container
async def atask(number: int) -> str:
    """Keep the kind and the type of the result."""
    await aclose_registry()
    return str(number)


async def call() -> None:
    """Call both."""
    assert_type(task(3), str)
    assert_type(await atask(3), str)
