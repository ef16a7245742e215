"""Services that only keep their arguments: nobody can tell that they cost less (1, 2).

A plan makes no claim for such a service, and keeps it back until somebody asks. What it takes for
one has to be one: a constructor that does anything else has to be treated as any factory is.
"""

import abc
import asyncio
import dataclasses
import functools
import gc

import attrs
import pytest

from tests.support.deadline import in_threads
from tests.support.services import Database, Session
from tests.support.ways import MANY
from wares import Registry


class Plain:
    """Keeps its argument, and some constants."""

    kind = "plain"

    def __init__(self, database: Database) -> None:
        self.database = database
        self.kind = "own"
        self.names = []
        self.places = {}
        self.count = 0


class Slotted:
    """Keeps its argument in a slot."""

    __slots__ = ("database",)

    def __init__(self, database: Database) -> None:
        self.database = database


@dataclasses.dataclass
class Data:
    """What a dataclass keeps."""

    database: Database


@dataclasses.dataclass(frozen=True)
class FrozenData:
    """What a frozen dataclass keeps."""

    database: Database


@attrs.define
class Attrs:
    """What a class of attrs keeps."""

    database: Database


@attrs.frozen
class FrozenAttrs:
    """What a frozen class of attrs keeps."""

    database: Database


KEEPING = [Plain, Slotted, Data, FrozenData, Attrs, FrozenAttrs]


class Root:
    """Stands on one of them, and is asked for in its stead."""

    def __init__(self, part) -> None:
        self.part = part


def register(registry: Registry, part: type) -> list[object]:
    """Register *part* with what it needs, and a root on it; list the databases that are made."""
    made = []

    def make_database() -> Database:
        made.append(Database())
        return made[-1]

    Root.__init__.__annotations__["part"] = part
    registry.register_factory(Database, make_database)
    registry.register_factory(part, part)
    registry.register_factory(Root, Root)
    return made


@pytest.mark.parametrize("part", KEEPING)
class TestKeeping:
    """What such a service is like."""

    async def test_it_is_shared(self, way, warm, registry, container, part):
        """It is made once, whether it is asked for before or after what needs it."""
        register(registry, part)
        await warm(way, registry, Root)
        await warm(way, registry, part)
        other = registry.container()

        root = await way.get(container, Root)
        part_first = await way.get(other, part)

        assert root.part is await way.get(container, part)
        assert root is await way.get(container, Root)
        assert part_first is (await way.get(other, Root)).part
        assert root.part.database is await way.get(container, Database)

    async def test_it_is_there(self, way, warm, registry, container, part):
        """A container knows that it has made it, before anybody asks for it."""
        register(registry, part)
        await warm(way, registry, Root)

        await way.get(container, Root)

        assert part in container
        assert Session not in container
        assert "made=3" in repr(container)

    async def test_it_ends_with_the_container(self, way, warm, registry, part):
        """A closed container keeps nothing of it alive."""
        register(registry, part)
        await warm(way, registry, Root)
        container = registry.container()
        root = await way.get(container, Root)
        holders = len(gc.get_referrers(root.part))

        await way.close(container)

        assert len(gc.get_referrers(root.part)) < max(holders, 2)

    def test_threads_share_it(self, registry, part):
        """Threads that ask for it, and for what needs it, get the same one."""
        register(registry, part)
        for _ in range(MANY):
            with registry.container() as container:
                container.get(Root)
            with registry.container() as container:
                container.get(part)

        for _ in range(50):
            with registry.container() as container:
                keys = [Root, part, Root, part]
                root, one, same_root, other = in_threads(
                    *[lambda key=key, it=container: it.get(key) for key in keys]
                )

            assert root is same_root
            assert root.part is one
            assert one is other


#: Whoever makes something may be asked, from now on, by constructors that do more.
asked = []


def note(*_: object) -> None:
    """Ask the container of the test for the database, as any constructor may do."""
    asked.append(asked[0].get(Database))


class WithProperty:
    """Keeps its argument where somebody watches."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @property
    def database(self) -> Database:
        """What was kept."""
        return self._database

    @database.setter
    def database(self, database: Database) -> None:
        note()
        self._database = database


class WithSetattr:
    """Watches all that is kept."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def __setattr__(self, name: str, thing: object) -> None:
        note()
        object.__setattr__(self, name, thing)


class WithNew:
    """Watches itself being made."""

    def __new__(cls, database: Database):
        note()
        return super().__new__(cls)

    def __init__(self, database: Database) -> None:
        self.database = database


class WithCall:
    """Does something with its argument."""

    def __init__(self, database: Database) -> None:
        self.database = database
        note()


class WithCondition:
    """Makes up its mind."""

    def __init__(self, database: Database) -> None:
        if database is not None:
            note()
        self.database = database


class WithOther:
    """Keeps itself in its argument."""

    def __init__(self, database: Database) -> None:
        note()
        database.owner = self
        self.database = database


class WithAnyArguments:
    """Takes whatever it is given."""

    def __init__(*arguments: object, database: Database) -> None:
        note()
        arguments[0].database = database


class Making:
    """An ``__init__`` that is no function."""

    def __get__(self, thing, _kind):
        return functools.partial(self.keep, thing)

    @staticmethod
    def keep(thing, database: Database) -> None:
        note()
        thing.database = database


class WithDescriptor:
    """Is initialised by something that is no function."""

    __signature__ = __import__("inspect").signature(WithCall)
    __init__ = Making()


@dataclasses.dataclass
class WithPostInit:
    """A dataclass that does more afterwards."""

    database: Database

    def __post_init__(self) -> None:
        note()


@dataclasses.dataclass(frozen=True)
class FrozenWithPostInit:
    """A frozen dataclass that does more afterwards."""

    database: Database

    def __post_init__(self) -> None:
        note()


@dataclasses.dataclass(frozen=True)
class FrozenWithFactory:
    """A frozen dataclass that makes something itself."""

    database: Database
    noted: None = dataclasses.field(default_factory=note)


@attrs.frozen
class AttrsWithPostInit:
    """A class of attrs that does more afterwards."""

    database: Database

    def __attrs_post_init__(self) -> None:
        note()


@attrs.frozen
class AttrsWithPreInit:
    """A class of attrs that does more beforehand."""

    database: Database

    def __attrs_pre_init__(self) -> None:
        note()


@attrs.frozen
class AttrsWithFactory:
    """A class of attrs that makes something itself."""

    database: Database
    noted: None = attrs.field(factory=note)


@attrs.frozen
class AttrsWithValidator:
    """A class of attrs that looks at its argument."""

    database: Database = attrs.field(validator=note)


def convert(database: Database) -> Database:
    """Do something with an argument."""
    note()
    return database


@attrs.frozen
class AttrsWithConverter:
    """A class of attrs that does something with its argument."""

    database: Database = attrs.field(converter=convert)


DOING_MORE = [
    WithProperty,
    WithSetattr,
    WithNew,
    WithCall,
    WithCondition,
    WithOther,
    WithAnyArguments,
    WithDescriptor,
    WithPostInit,
    FrozenWithPostInit,
    FrozenWithFactory,
    AttrsWithPostInit,
    AttrsWithPreInit,
    AttrsWithFactory,
    AttrsWithValidator,
    AttrsWithConverter,
]


@pytest.mark.parametrize("part", DOING_MORE)
async def test_a_constructor_that_does_more_may_ask(way, registry, part):
    """A constructor that runs other code may ask its container, also where it is used often."""
    made = register(registry, part)
    for _ in range(MANY):
        asked[:] = [registry.container()]
        root = await way.get(asked[0], Root)

        assert made[-1] is root.part.database
        assert [made[-1]] * (len(asked) - 1) == asked[1:]
        assert len(asked) > 1
        await way.close(asked[0])
    assert MANY == len(made)


class Unmakeable(abc.ABC):
    """Cannot be made: it is abstract."""

    @abc.abstractmethod
    def work(self) -> None:
        """Be still to be written."""


class WithoutPlace:
    """Keeps its argument where there is no place for it."""

    __slots__ = ("other",)

    def __init__(self, database: Database) -> None:
        self.database = database  # noqa: PLE0237  # that is the point


@pytest.mark.parametrize(
    ("part", "error"), [(Unmakeable, TypeError), (WithoutPlace, AttributeError)]
)
async def test_a_constructor_that_fails(way, registry, part, error):
    """A class of which no object can be made fails in its own words, with the path as a note."""
    register(registry, part)
    for _ in range(MANY):
        container = registry.container()

        with pytest.raises(error) as caught:
            await way.get(container, Root)

        assert any(part.__name__ in note for note in caught.value.__notes__)
        await way.close(container)


def test_a_class_that_notices_its_end(registry):
    """A class with a finalizer is made once for each container, also by two threads at once."""
    ended = []

    class WithEnd:
        def __init__(self, database: Database) -> None:
            self.database = database

        def __del__(self) -> None:
            ended.append(1)

    register(registry, WithEnd)
    for _ in range(100):
        with registry.container() as container:
            in_threads(*[lambda it=container: it.get(WithEnd) for _ in range(4)])

    gc.collect()
    assert 100 == len(ended)


async def test_an_async_function_that_awaits_nothing(registry):
    """What awaits nothing lets nobody else run while it makes something, and is made once."""

    async def make_database() -> Database:
        return Database()

    async def open_session(database: Database):
        yield Session()

    registry.register_factory(Database, make_database)
    registry.register_factory(Session, open_session)
    for _ in range(MANY):
        async with registry.container() as container:
            one, other = await asyncio.gather(container.aget(Session), container.aget(Session))

            assert one is other
