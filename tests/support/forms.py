"""The two forms of a function, with one interface, so that one test can state a rule for both.

A test writes plain functions and generator functions. The asynchronous form of each is a
coroutine function or an async generator function around it, with the same signature.
"""

import functools
import inspect

import wares


class SyncForm:
    """Functions as the tests write them."""

    is_async = False

    def __repr__(self) -> str:
        return "sync"

    def dependency(self, function):
        return function

    def inject(self, function, **options):
        return wares.inject(**options)(function)

    async def call(self, function, *args, **kwargs):
        return function(*args, **kwargs)

    async def items(self, function, *args, **kwargs):
        return list(function(*args, **kwargs))


class AsyncForm:
    """Functions that must be awaited."""

    is_async = True

    def __repr__(self) -> str:
        return "async"

    def dependency(self, function):
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            async def generator(*args, **kwargs):
                inner = function(*args, **kwargs)
                try:
                    item = next(inner)
                    while True:
                        try:
                            yield item
                        except BaseException as error:  # noqa: BLE001  # it belongs to the generator
                            item = inner.throw(error)
                        else:
                            item = next(inner)
                except StopIteration:
                    return

            return generator

        @functools.wraps(function)
        async def coroutine(*args, **kwargs):
            return function(*args, **kwargs)

        return coroutine

    def inject(self, function, **options):
        if isinstance(function, classmethod | staticmethod):
            return wares.inject(**options)(type(function)(self.dependency(function.__func__)))
        return wares.inject(**options)(self.dependency(function))

    async def call(self, function, *args, **kwargs):
        return await function(*args, **kwargs)

    async def items(self, function, *args, **kwargs):
        return [item async for item in function(*args, **kwargs)]


FORMS = (SyncForm(), AsyncForm())
