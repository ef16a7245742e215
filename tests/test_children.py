"""Children: an event within a connection, an item within a batch."""

import asyncio

import pytest

from tests.support.cleanups import leaving
from tests.support.messages import missing_parts
from tests.support.services import Cache, Database, Mailer, Repository, Session
from wares import ContainerClosedError, InvalidLifetimeError


class TestWhatAChildHas:
    async def test_its_own_scoped_services(self, way, registry, container):
        """A child makes its own scoped services, even if the parent has made them."""
        registry.register_factory(Database, Database)
        children = [container, container.child(), container.child(), container.child().child()]

        made = [await way.get(each, Database) for each in children]

        assert 4 == len(set(map(id, made)))

    async def test_one_connection_for_all(self, way, registry, container):
        """A service of lifetime `connection` is made once for a chain of children."""
        made = []
        registry.register_factory(
            Database, lambda: made.append("made") or Database(), lifetime="connection"
        )
        family = [container.child().child(), container.child(), container]

        services = [await way.get(each, Database) for each in family]

        assert ["made"] == made
        assert 1 == len(set(map(id, services)))

    async def test_another_connection(self, way, registry):
        """Another outermost container has its own services of lifetime `connection`."""
        registry.register_factory(Database, Database, lifetime="connection")
        first, second = registry.container(), registry.container()

        assert await way.get(first.child(), Database) is not await way.get(second, Database)

    async def test_a_connection_service_as_a_need(self, way, registry, container):
        """A child's scoped service gets the connection's service."""
        registry.register_factory(Database, Database, lifetime="connection")
        registry.register_factory(Repository, Repository)
        first, second = container.child(), container.child()

        repositories = [await way.get(child, Repository) for child in (first, second)]

        assert repositories[0] is not repositories[1]
        assert repositories[0].database is repositories[1].database
        assert repositories[0].database is await way.get(container, Database)

    async def test_one_child_after_the_other(self, way, registry, container):
        """Each child finds what its parent has made, and leaves its own out of the parent."""
        registry.register_factory(Database, Database, lifetime="connection")
        registry.register_factory(Repository, Repository)
        database = await way.get(container, Database)
        for _ in range(2):
            child = container.child()
            assert database is (await way.get(child, Repository)).database
            await way.close(child)

        assert Repository not in container

    async def test_singletons(self, way, registry, container):
        """A singleton is the same in parent and child."""
        registry.register_factory(Database, Database, lifetime="singleton")

        assert await way.get(container.child(), Database) is await way.get(container, Database)

    async def test_what_the_parent_was_given(self, way, registry):
        """Children see the objects that a parent was given, at any depth."""
        registry.register_factory(Repository, Repository)
        registry.register_factory(Database, Database)
        parent = registry.container({Database: "given"})
        child = parent.child().child()

        assert "given" == await way.get(child, Database)
        assert "given" == (await way.get(child, Repository)).database

    async def test_what_it_is_given_itself(self, way, registry):
        """The objects given to a child win over those of its parent."""
        registry.register_value(Database, "registered")
        registry.register_factory(Repository, Repository)
        parent = registry.container({"server": "one", Database: "none"})

        child = parent.child({Database: "message"})

        assert ("one", "message") == await way.get(child, "server", Database)
        assert "message" == (await way.get(child, Repository)).database
        assert "none" == await way.get(parent, Database)

    async def test_what_it_is_given_itself_wins(self, way, registry, container):
        """The objects given to a child win over local registrations of its parent."""
        container.register_local_value(str, "local")

        given = container.child({str: "given"})
        other = container.child({int: 1})

        assert "given" == await way.get(given, str)
        assert ("local", 1) == await way.get(other, str, int)

    @pytest.mark.parametrize("own", ["given", "value", "factory"])
    @pytest.mark.parametrize("later", ["value", "factory"])
    async def test_what_a_child_has_itself_stays(self, way, registry, own, later):
        """What a child was given, or has registered, wins over what its parent registers later."""
        parent = registry.container({Database: "given to the parent"})
        child = parent.child({Database: "own"} if own == "given" else None)
        if own == "value":
            child.register_local_value(Database, "own")
        elif own == "factory":
            child.register_local_factory(Database, lambda: "own")
        other, grandchild = parent.child(), child.child()

        if later == "value":
            parent.register_local_value(Database, "parent's")
        else:
            parent.register_local_factory(Database, lambda: "parent's")

        assert ["own", "own", "own"] == [
            await way.get(each, Database) for each in (child, grandchild, child.child())
        ]
        assert ["parent's", "parent's"] == [
            await way.get(each, Database) for each in (parent, other)
        ]

    async def test_a_parents_local_registrations(self, way, registry, container):
        """Children see the local registrations of a parent, each with its own service."""
        container.register_local_factory(Cache, Cache)
        container.register_local_value(Mailer, "local")
        child = container.child()

        cache, mailer = await way.get(child, Cache, Mailer)

        assert (Cache, "local") == (type(cache), mailer)
        assert cache is not await way.get(container, Cache)

    async def test_its_own_local_registrations(self, way, registry, container):
        """A parent does not see the local registrations of a child."""
        registry.register_value(Database, "registered")
        child = container.child()
        child.register_local_value(Database, "local")

        assert ["local", "registered", "registered"] == [
            await way.get(each, Database) for each in (child, container, container.child())
        ]

    async def test_a_connection_service_does_not_see_them(self, way, registry, container):
        """A service of lifetime `connection` is made from what its owner sees."""
        registry.register_value(Database, "registered")
        registry.register_factory(Repository, Repository, lifetime="connection")
        child = container.child()
        child.register_local_value(Database, "local")

        assert "registered" == (await way.get(child, Repository)).database

    async def test_a_connection_service_does_not_see_their_factories(
        self, way, registry, container
    ):
        """A connection service does not get a child's local factory, either."""
        registry.register_value(Database, "registered")
        registry.register_factory(Repository, Repository, lifetime="connection")
        child = container.child()
        child.register_local_factory(Database, lambda: "local")

        assert "registered" == (await way.get(child, Repository)).database
        assert "local" == await way.get(child, Database)

    async def test_a_local_connection_service(self, way, registry, container):
        """One that is registered in the outermost container is shared, also by grandchildren."""
        registry.register_factory(Database, lambda: "registered", lifetime="connection")
        container.register_local_factory(Database, Database, lifetime="connection")
        family = [container.child(), container.child().child(), container]

        services = [await way.get(each, Database) for each in family]

        assert {Database} == set(map(type, services))
        assert 1 == len(set(map(id, services)))

    def test_a_local_connection_service_of_a_child(self, container):
        """A child may not register what would outlive it, and come into its siblings."""
        child = container.child()

        with pytest.raises(InvalidLifetimeError) as caught:
            child.register_local_factory(Database, Database, lifetime="connection")

        assert [] == missing_parts(str(caught.value), "Database", "connection", "outermost")

    async def test_a_local_registration_above_thousands(self, way, registry):
        """The innermost child sees a local registration of the outermost container."""
        container = child = registry.container()
        for _ in range(3_000):
            child = child.child()

        container.register_local_factory(Database, Database)

        assert Database is type(await way.get(child, Database))
        await way.close(container)

    async def test_a_connection_service_gets_its_owner(self, way, registry, container):
        """A connection's factory receives the outermost container, whichever child asked."""
        registry.register_factory(
            Database, lambda wares_container: [wares_container], lifetime="connection"
        )

        assert [container] == await way.get(container.child().child(), Database)

    async def test_what_the_parent_has_made(self, way, registry, container):
        """`in` speaks of the container itself for scoped services."""
        registry.register_factory(Database, Database)
        child = container.child()
        await way.get(container, Database)

        assert [True, False] == [Database in container, Database in child]


class TestClosing:
    async def test_a_child_closes_its_own(self, way, registry, container):
        """Closing a child ends its services, and nothing of its parent."""
        events = []
        registry.register_factory(Session, leaving(events, "session"))
        registry.register_factory(
            Database, leaving(events, "connection"), lifetime="connection"
        )
        child = container.child()
        await way.get(child, Session, Database)
        await way.get(container, Session)

        await way.close(child)

        assert ["session"] == events
        assert "connection" == await way.get(container, Database)

    async def test_a_connection_closes_with_the_outermost(self, way, registry):
        """A connection's services end with the outermost container, whichever child asked."""
        events = []
        registry.register_factory(
            Database, leaving(events, "connection"), lifetime="connection"
        )
        container = registry.container()
        middle = container.child()
        child = middle.child()
        await way.get(child, Database)
        await way.close(child)
        await way.close(middle)
        before = list(events)

        await way.close(container)

        assert ([], ["connection"]) == (before, events)

    async def test_a_parent_closes_its_open_children_first(self, way, registry):
        """A parent closes the children that are still open, the newest first, then itself."""
        events = []
        parent = registry.container()
        family = {
            "parent": parent,
            "first": parent.child(),
            "second": parent.child(),
            "closed": parent.child(),
        }
        family["grandchild"] = family["first"].child()
        for name, container in family.items():
            container.register_local_factory(Session, leaving(events, name))
            await way.get(container, Session)
        await way.close(family["closed"])

        await way.close(parent)

        assert ["closed", "second", "grandchild", "first", "parent"] == events

    @pytest.mark.parametrize("generations", [1, 2])
    async def test_a_child_of_a_closed_parent_is_closed(self, way, registry, generations):
        """A child ends with its parent: it is closed, and it cannot be opened anew."""
        registry.register_factory(Database, Database)
        parent = child = registry.container()
        for _ in range(generations):
            child = child.child()
        await way.get(child, Database)

        await way.close(parent)

        with pytest.raises(ContainerClosedError):
            await way.get(child, Database)
        with pytest.raises(ContainerClosedError):
            parent.child()
        with pytest.raises(ContainerClosedError):
            child.child()

    async def test_errors_of_children(self, way, registry):
        """A child whose cleanup fails stops neither its siblings nor its parent."""
        events = []
        parent = registry.container()

        def failing():
            yield 1
            events.append("failing")
            raise OSError("child")

        first, second, third = parent.child(), parent.child(), parent.child()
        first.register_local_factory(Session, leaving(events, "first"))
        second.register_local_factory(Session, failing)
        third.register_local_factory(Session, leaving(events, "third"))
        parent.register_local_factory(Session, leaving(events, "parent"))
        for each in (parent, first, second, third):
            await way.get(each, Session)

        with pytest.raises(OSError, match="child"):
            await way.close(parent)

        assert ["third", "failing", "first", "parent"] == events

    async def test_the_exception_reaches_the_children(self, way, registry):
        """An exception that ends a parent reaches the cleanups of its open children."""
        seen = []

        def session():
            try:
                yield 1
            except KeyError as error:
                seen.append(error)
                raise

        registry.register_factory(Session, session)
        parent = registry.container()
        child = parent.child()
        await way.get(child, Session)
        error = KeyError("request")

        def fail(_):
            raise error

        with pytest.raises(KeyError):
            await way.within(parent, fail)
        assert [error] == seen

    async def test_a_child_in_a_with_block(self, way, registry, container):
        """A child is a context manager as its parent is."""
        events = []
        registry.register_factory(Session, leaving(events, "session"))

        await way.within(container.child(), lambda child: child.get(Session))

        assert ["session"] == events

    async def test_thousands_of_children(self, way, registry, container):
        """Children that were closed leave no trace in their parent."""
        events = []
        registry.register_factory(Session, leaving(events, "session"))
        for _ in range(2_000):
            child = container.child()
            await way.get(child, Session)
            await way.close(child)
        await way.close(container)

        assert ["session"] * 2_000 == events

    async def test_children_of_many_tasks(self, registry, container):
        """Children of one connection may live and end in any order."""
        events = []
        released = asyncio.Event()
        registry.register_factory(Session, leaving(events, "session"))
        registry.register_factory(
            Database, leaving(events, "connection"), lifetime="connection"
        )

        async def handle(number):
            async with container.child() as child:
                service = await child.aget(Database)
                await child.aget(Session)
                if number % 2:
                    await released.wait()
                return service

        tasks = [asyncio.create_task(handle(number)) for number in range(20)]
        await asyncio.wait(tasks[::2])
        halfway = list(events)
        released.set()
        services = await asyncio.gather(*tasks)
        await container.aclose()

        assert ["session"] * 10 == halfway
        assert ["session"] * 20 + ["connection"] == events
        assert {"connection"} == set(services)

    async def test_a_dropped_child_does_not_live_on(self, way, registry):
        """A child that was dropped with a cleanup pending is closed by its parent."""
        events = []
        registry.register_factory(Session, leaving(events, "session"))
        parent = registry.container()
        await way.get(parent.child(), Session)

        await way.close(parent)

        assert ["session"] == events

    async def test_reset_of_a_child(self, way, registry):
        """A child that was reset is still a child: it shares, sees, and ends with its parent."""
        events = []
        registry.register_factory(Session, leaving(events, "session"))
        registry.register_factory(
            Database, leaving(events, "connection"), lifetime="connection"
        )
        parent = registry.container({Cache: "given"})
        child = parent.child()
        await way.get(child, Session, Database)
        await way.reset(child)
        before = list(events)

        services = await way.get(child, Session, Database, Cache)
        await way.close(parent)

        assert ["session"] == before
        assert ("session", "connection", "given") == services
        assert ["session", "session", "connection"] == events

    async def test_reset_of_a_parent(self, way, registry, container):
        """`reset` closes the children for good, and opens the parent again."""
        registry.register_factory(Database, Database)
        child = container.child()
        first = await way.get(container, Database)

        await way.reset(container)

        assert first is not await way.get(container, Database)
        with pytest.raises(ContainerClosedError):
            await way.get(child, Database)
        assert Database is type(await way.get(container.child(), Database))
