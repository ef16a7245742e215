"""Observes the behaviour of wares and its peers that `docs/why.md` describes.

The work is the same for all: a request uses a transaction, and a service that flushes into it when
the request ends. `observe` returns, for each candidate, the words of the table on the page.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Annotated, Any

import dishka
import fastapi
import httpx
import svcs
import wireup

import wares


class Transaction:
    """A service that commits or rolls back when the request ends."""


class Flush:
    """A service that flushes into the transaction when the request ends."""


Get = Callable[[type], Awaitable[Any]]
Fail = Callable[[], Awaitable[None]]
#: Opens a request of a candidate, and gives a function that asks it for services.
Open = Callable[["Work"], AbstractAsyncContextManager[Get]]


class Work:
    """The factories of the services, which note how the transaction ends.

    Args:
        fail: Called at the end of `Flush`.
    """

    def __init__(self, fail: Fail) -> None:
        journal: list[str] = []

        async def begin() -> AsyncIterator[Transaction]:
            await asyncio.sleep(0)
            try:
                yield Transaction()
            except BaseException:
                journal.append("rolls back")
                raise
            else:
                journal.append("commits")

        async def flush() -> AsyncIterator[Flush]:
            yield Flush()
            await fail()

        self.journal, self.begin, self.flush = journal, begin, flush


@asynccontextmanager
async def open_wares(work: Work) -> AsyncIterator[Get]:
    """Open a container of wares."""
    registry = wares.Registry()
    registry.register_factory(Transaction, work.begin)
    registry.register_factory(Flush, work.flush)
    async with registry, registry.container() as container:
        yield container.aget


@asynccontextmanager
async def open_svcs(work: Work) -> AsyncIterator[Get]:
    """Open a container of svcs."""
    registry = svcs.Registry()
    registry.register_factory(Transaction, work.begin)
    registry.register_factory(Flush, work.flush)
    async with svcs.Container(registry) as container:
        yield container.aget


@asynccontextmanager
async def open_dishka(work: Work, *, locks: bool = False) -> AsyncIterator[Get]:
    """Enter the request scope of dishka."""
    provider = dishka.Provider(scope=dishka.Scope.REQUEST)
    provider.provide(work.begin)
    provider.provide(work.flush)
    container = dishka.make_async_container(provider)
    async with container(lock_factory=asyncio.Lock if locks else None) as request:
        yield request.get


@asynccontextmanager
async def open_wireup(work: Work, *, locks: bool = False) -> AsyncIterator[Get]:
    """Enter a scope of wireup."""
    scoped = wireup.injectable(lifetime="scoped")
    container = wireup.create_async_container(
        injectables=[scoped(work.begin), scoped(work.flush)], concurrent_scoped_access=locks
    )
    async with container.enter_scope() as scope:
        yield scope.get


OPENERS: dict[str, Open] = {
    "wares": open_wares,
    "svcs": open_svcs,
    "dishka": open_dishka,
    "wireup": open_wireup,
}


#: The candidates that need an option if tasks share a request.
WITH_LOCKS: dict[str, Open] = {
    "dishka": partial(open_dishka, locks=True),
    "wireup": partial(open_wireup, locks=True),
}


async def use(open_request: Open, work: Work) -> None:
    """Serve a request that succeeds."""
    async with open_request(work) as get:
        await get(Transaction)
        await get(Flush)


async def use_fastapi(work: Work) -> None:
    """Serve a request that succeeds, with FastAPI's own dependencies."""
    app = fastapi.FastAPI()

    @app.get("/")
    async def endpoint(
        transaction: Annotated[Transaction, fastapi.Depends(work.begin)],
        flush: Annotated[Flush, fastapi.Depends(work.flush)],
    ) -> None:
        del transaction, flush

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        await client.get("/")


async def raise_error() -> None:
    """Raise the error of a failed flush."""
    raise OSError


async def cancel() -> None:
    """Cancel the current task, as a timeout does."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def observe_failure(serve: Callable[[Work], Awaitable[None]]) -> tuple[str, str]:
    """Describe how the transaction ends if the flush fails, and what happens to the error."""
    work, records = Work(raise_error), []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]  # collects the records
    logging.getLogger().addHandler(handler)
    try:
        await serve(work)
    except ExceptionGroup:
        outcome = "is raised, in a group"
    except OSError:
        outcome = "is raised"
    else:
        outcome = "is logged" if records else "is lost"
    finally:
        logging.getLogger().removeHandler(handler)
    return work.journal[0], outcome


async def observe_cancellation(serve: Callable[[Work], Awaitable[None]]) -> str:
    """Describe whether the transaction ends if the flush is cancelled."""
    work = Work(cancel)
    await asyncio.wait([asyncio.ensure_future(serve(work))])
    return "run" if work.journal else "do not run"


async def observe_tasks(open_request: Open) -> str:
    """Describe how many transactions two tasks of one request get."""
    async with open_request(Work(lambda: asyncio.sleep(0))) as get:
        one, other = await asyncio.gather(get(Transaction), get(Transaction))
    return "one object" if one is other else "one each"


async def observe() -> dict[str, dict[str, str]]:
    """Observe all candidates; return the cells of the table, by row and candidate."""
    serving = {name: partial(use, opener) for name, opener in OPENERS.items()}
    serving["FastAPI"] = use_fastapi
    failures = {name: await observe_failure(serve) for name, serve in serving.items()}
    tasks = {name: await observe_tasks(opener) for name, opener in OPENERS.items()}
    for name, opener in WITH_LOCKS.items():
        if (tasks[name], await observe_tasks(opener)) == ("one each", "one object"):
            tasks[name] = "one, with an option"
    return {
        "two tasks of one request ask at the same time": tasks
        | {"FastAPI": "tasks cannot ask"},
        "the last flush of a request fails: the transaction around it": {
            name: ending for name, (ending, _) in failures.items()
        },
        "that error": {name: error for name, (_, error) in failures.items()},
        "one cleanup is cancelled: the others": {
            name: await observe_cancellation(serve) for name, serve in serving.items()
        },
    }
