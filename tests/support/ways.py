"""The two ways to use a container, with one interface, so that a test can state a rule for both."""

from wares import Container, Registry


class SyncWay:
    """`get` and `close`, called from a coroutine."""

    is_async = False

    def __repr__(self) -> str:
        return "sync"

    async def get(self, container, *keys):
        return container.get(*keys)

    async def close(self, closeable):
        closeable.close()

    async def reset(self, container):
        container.reset()

    async def within(self, closeable, work):
        """Run *work*, a plain function of the container, in its `with` block."""
        with closeable as entered:
            return work(entered)


class AsyncWay:
    """`aget` and `aclose`."""

    is_async = True

    def __repr__(self) -> str:
        return "async"

    async def get(self, container, *keys):
        return await container.aget(*keys)

    async def close(self, closeable):
        await closeable.aclose()

    async def reset(self, container):
        await container.areset()

    async def within(self, closeable, work):
        """Run *work*, a plain function of the container, in its `async with` block."""
        async with closeable as entered:
            return work(entered)


SYNC = SyncWay()
ASYNC = AsyncWay()


async def use(way: SyncWay | AsyncWay, registry: Registry, times: int, *keys) -> None:
    """Open, ask and close a container, *times* times."""
    for _ in range(times):
        container = Container(registry)
        await way.get(container, *keys)
        await way.close(container)
