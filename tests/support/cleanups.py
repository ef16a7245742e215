"""Factories whose services note how they are cleaned up."""

import asyncio

import pytest

from tests.support.ways import ASYNC, SYNC


class Boom(Exception):
    """The exception of a request that fails."""


def fail(error):
    """Raise *error*, in an expression."""
    raise error


def show(error):
    """Return the repr of *error*, or its type if the repr raises."""
    try:
        return repr(error)
    except RuntimeError:
        return type(error).__name__


class ManagerOf:
    """A context manager that notes what happens to it."""

    def __init__(self, events, name, *, swallows=False, error=None):
        self.events = events
        self.name = name
        self.swallows = swallows
        self.error = error

    def __enter__(self):
        self.events.append(f"{self.name} entered")
        return self

    def __exit__(self, kind, error, trace):
        self.events.append(
            f"{self.name} left with {show(error)}" if error else f"{self.name} left"
        )
        if self.error is not None:
            raise self.error
        return self.swallows


class AsyncManagerOf(ManagerOf):
    """An async context manager that notes what happens to it."""

    __enter__ = __exit__ = None

    async def __aenter__(self):
        return ManagerOf.__enter__(self)

    async def __aexit__(self, *details):
        return ManagerOf.__exit__(self, *details)


def leaving(events, name="session", *, error=None):
    """Return a sync generator factory that notes its end, and then raises *error*, if any."""

    def make():
        try:
            yield name
        finally:
            events.append(name)
        if error is not None:
            raise error

    return make


def aleaving(events, name="session", *, error=None):
    """Return an async generator factory that notes its end, and then raises *error*, if any."""

    async def make():
        try:
            yield name
        finally:
            await asyncio.sleep(0)
            events.append(name)
        if error is not None:
            raise error

    return make


def watching(seen, *, reraise=True):
    """Return a generator factory that notes the exception at its `yield`, or None."""

    def make():
        try:
            yield "watching"
        except BaseException as error:
            seen.append(error)
            if reraise:
                raise
        else:
            seen.append(None)

    return make


def awatching(seen, *, reraise=True):
    """Return an async generator factory that notes the exception at its `yield`, or None."""

    async def make():
        try:
            yield "watching"
        except BaseException as error:
            seen.append(error)
            if reraise:
                raise
        else:
            seen.append(None)

    return make


def manager_watching(seen):
    """Return a factory of a context manager that notes the exception at its exit, or None."""

    class Manager:
        def __enter__(self):
            return self

        def __exit__(self, kind, error, trace):
            assert kind is (None if error is None else type(error))
            assert (trace is None) == (error is None)
            seen.append(error)

    return Manager


def amanager_watching(seen):
    """Return a factory of an async context manager that notes the exception at its exit."""

    class Manager:
        async def __aenter__(self):
            return self

        async def __aexit__(self, kind, error, trace):
            assert kind is (None if error is None else type(error))
            assert (trace is None) == (error is None)
            seen.append(error)

    return Manager


WATCHERS = [
    pytest.param(SYNC, watching, id="sync generator, sync"),
    pytest.param(ASYNC, watching, id="sync generator, async"),
    pytest.param(ASYNC, awatching, id="async generator"),
    pytest.param(SYNC, manager_watching, id="context manager, sync"),
    pytest.param(ASYNC, manager_watching, id="context manager, async"),
    pytest.param(ASYNC, amanager_watching, id="async context manager"),
]
