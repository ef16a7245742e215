"""Properties of every graph of factories, of any shape, wherever a factory fails."""

import asyncio

import pytest
from hypothesis import example, given, settings, strategies

from tests.support.graphs import SYNC_SHAPES, Failure, Node, World, graphs
from wares import (
    CircularDependencyError,
    InvalidRegistryError,
    LifetimeError,
    Registry,
    ServiceNotFoundError,
)

OWNED = ["scoped", "connection"]
asks = strategies.lists(strategies.integers(0, 7), min_size=1, max_size=10)
scripts = strategies.lists(
    strategies.tuples(strategies.integers(0, 2), strategies.integers(0, 7)),
    min_size=1,
    max_size=12,
)


def run(coroutine):
    """Run *coroutine* on an event loop of its own, but not for ever."""

    async def limited():
        async with asyncio.timeout(10):
            return await coroutine

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(limited())


async def aoutcome_of(function, *args):
    """Return what an async *function* gives, or how it fails."""
    try:
        return await function(*args)
    except Failure as error:
        return error.args


def outcome_of(function, *args):
    """Return what *function* gives, or how it fails."""
    try:
        return function(*args)
    except Failure as error:
        return error.args


def keys_for(world, numbers):
    """Return the keys for *numbers*, modulo the size of the graph."""
    return [world.keys[number % len(world.keys)] for number in numbers]


def finished(world, *lifetimes):
    """Return the numbers of the nodes entered without failure, in that order."""
    return [
        number
        for event, number in world.events
        if event == "enter"
        and world.nodes[number].failing != "enter"
        and world.nodes[number].lifetime in lifetimes
    ]


def exited(world, *lifetimes):
    """Return the numbers of the nodes left, in that order."""
    return [
        number
        for event, number in world.events
        if event == "exit" and world.nodes[number].lifetime in lifetimes
    ]


def made(world):
    """Return how often each factory that does not fail ran."""
    runs = [number for event, number in world.events if event == "make"]
    return {
        node.number: runs.count(node.number)
        for node in world.nodes
        if node.failing not in ("make", "enter") and node.number in runs
    }


@given(graphs(), asks)
def test_one_container_after_the_other_call(nodes, numbers):
    """Each factory runs once; exits are the exact reverse of completions; nothing stays open."""
    world = World(nodes)

    async def scenario():
        container = world.registry.container()
        for key in keys_for(world, numbers):
            first = await aoutcome_of(container.aget, key)
            if key in container:
                assert first == await container.aget(key)
        await aoutcome_of(container.aclose)
        own_exits = exited(world, *OWNED)
        assert [] == exited(world, "singleton")
        await aoutcome_of(world.registry.aclose)
        return own_exits

    own_exits = run(scenario())

    assert finished(world, *OWNED)[::-1] == own_exits
    assert finished(world, "singleton")[::-1] == exited(world, "singleton")
    assert set(made(world).values()) <= {1}


@given(graphs(), asks)
def test_all_at_once(nodes, numbers):
    """Asked for by many tasks at once, the same holds, and all get the same objects."""
    world = World(nodes)

    async def scenario():
        container = world.registry.container()
        outcomes = await asyncio.gather(
            *[aoutcome_of(container.aget, key) for key in keys_for(world, numbers * 2)]
        )
        await aoutcome_of(container.aclose)
        await aoutcome_of(world.registry.aclose)
        return outcomes

    outcomes = run(scenario())

    assert outcomes[: len(numbers)] == outcomes[len(numbers) :]
    assert finished(world, *OWNED)[::-1] == exited(world, *OWNED)
    assert finished(world, "singleton")[::-1] == exited(world, "singleton")
    assert set(made(world).values()) <= {1}


@given(graphs(), asks, strategies.lists(strategies.integers(0, 12), max_size=6))
def test_cancelled_at_any_moment(nodes, numbers, delays):
    """Tasks that are cancelled at any moment leave nothing open, and disturb no other task."""
    world = World(nodes)

    async def scenario():
        container = world.registry.container()
        tasks = [
            asyncio.create_task(aoutcome_of(container.aget, key))
            for key in keys_for(world, numbers)
        ]
        for victim, delay in enumerate(delays):
            for _ in range(delay):
                await asyncio.sleep(0)
            tasks[victim % len(tasks)].cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await aoutcome_of(container.aclose)
        await aoutcome_of(world.registry.aclose)
        victims = {victim % len(tasks) for victim in range(len(delays))}
        return [outcome for number, outcome in enumerate(outcomes) if number not in victims]

    unharmed = run(scenario())

    assert [] == [outcome for outcome in unharmed if isinstance(outcome, BaseException)]
    assert sorted(finished(world, *OWNED)) == sorted(exited(world, *OWNED))
    assert sorted(finished(world, "singleton")) == sorted(exited(world, "singleton"))


@given(graphs(), asks, strategies.integers(0, 12))
def test_closed_at_any_moment(nodes, numbers, delay):
    """A container that is closed at any moment leaves nothing open."""
    world = World(nodes)

    async def scenario():
        container = world.registry.container()
        tasks = [
            asyncio.create_task(aoutcome_of(container.aget, key))
            for key in keys_for(world, numbers)
        ]
        for _ in range(delay):
            await asyncio.sleep(0)
        await aoutcome_of(container.aclose)
        await asyncio.gather(*tasks, return_exceptions=True)
        await aoutcome_of(world.registry.aclose)

    run(scenario())

    assert sorted(finished(world, *OWNED)) == sorted(exited(world, *OWNED))
    assert sorted(finished(world, "singleton")) == sorted(exited(world, "singleton"))


@given(graphs(shapes=SYNC_SHAPES), asks)
def test_sync_and_async_agree(nodes, numbers):
    """`get` and `aget` do the same in the same order, and fail in the same way."""
    sync_world, async_world = World(nodes), World(nodes)
    container = sync_world.registry.container()
    sync_outcomes = [outcome_of(container.get, key) for key in keys_for(sync_world, numbers)]
    sync_outcomes += [outcome_of(container.close), outcome_of(sync_world.registry.close)]

    async def scenario():
        container = async_world.registry.container()
        outcomes = [
            await aoutcome_of(container.aget, key) for key in keys_for(async_world, numbers)
        ]
        outcomes.append(await aoutcome_of(container.aclose))
        outcomes.append(await aoutcome_of(async_world.registry.aclose))
        return outcomes

    async_outcomes = run(scenario())

    assert sync_outcomes == async_outcomes
    assert sync_world.events == async_world.events


@given(graphs(lifetimes=OWNED), asks, strategies.integers(1, 3))
def test_use_changes_nothing(nodes, numbers, uses):
    """A registry that was used does the same in the same order as a new one."""
    fresh, used = World(nodes), World(nodes)

    async def scenario(world):
        async with world.registry.container() as container:
            outcomes = [
                await aoutcome_of(container.aget, key) for key in keys_for(world, numbers)
            ]
            return [*outcomes, await aoutcome_of(container.aclose)]

    async def use():
        used.failing = False
        for _ in range(uses):
            async with used.registry.container() as container:
                await container.aget(*keys_for(used, numbers))
        used.failing = True
        used.events.clear()

    run(use())
    outcomes = run(scenario(fresh)), run(scenario(used))

    assert outcomes[0] == outcomes[1]
    assert fresh.events == used.events


@given(graphs(failing=False), scripts, strategies.integers(0, 2))
def test_children(nodes, script, uses):
    """A parent and two children each have scoped services of their own, and share the others."""
    world = World(nodes)

    async def scenario():
        for _ in range(uses):
            async with world.registry.container() as parent:
                for _, number in script:
                    await parent.child().aget(*keys_for(world, [number]))
        world.events.clear()
        parent = world.registry.container()
        family = [parent, parent.child(), parent.child()]
        services = {}
        for who, number in script:
            (key,) = keys_for(world, [number])
            service = await family[who].aget(key)
            assert service == await family[who].aget(key)
            services.setdefault((who, key), service)
        await parent.aclose()
        # In the same event loop: a loop that ends closes the async generators that it has run.
        await world.registry.aclose()

    run(scenario())
    runs = [number for event, number in world.events if event == "make"]
    bounds = {"scoped": 3, "connection": 1, "singleton": 1}

    assert [] == [it for it in world.nodes if runs.count(it.number) > bounds[it.lifetime]]
    assert sorted(finished(world, "scoped")) == sorted(exited(world, "scoped"))
    assert finished(world, "connection")[::-1] == exited(world, "connection")
    if uses == 0:
        assert finished(world, "singleton")[::-1] == exited(world, "singleton")


@given(graphs(failing=False), asks, strategies.integers(0, 7), strategies.integers(0, 2))
def test_overrides_leave_no_trace(nodes, numbers, overridden, uses):
    """After an override everything is made as if there had never been one."""
    plain, tried = World(nodes), World(nodes)

    async def scenario(world):
        services = []
        for _ in range(uses + 1):
            async with world.registry.container() as container:
                services.append(await container.aget(*keys_for(world, numbers), world.keys[0]))
        return services

    async def try_out():
        await scenario(tried)
        (key,) = keys_for(tried, [overridden])
        with tried.registry.override_value(key, "override"):
            async with tried.registry.container() as container:
                assert "override" == await container.aget(key)
            await scenario(tried)
        return await scenario(tried)

    expected, actual = run(scenario(plain)), run(try_out())
    run(plain.registry.aclose())
    run(tried.registry.aclose())

    assert expected == actual
    for world in (plain, tried):
        assert sorted(finished(world, "singleton")) == sorted(exited(world, "singleton"))


edges = strategies.lists(
    strategies.tuples(
        strategies.lists(strategies.integers(0, 8), max_size=3, unique=True),
        strategies.sampled_from(["scoped", "scoped", "connection", "singleton", "transient"]),
    ),
    min_size=1,
    max_size=6,
)


def build(rows):
    """Return a registry of factories with the needs in *rows*, and nine keys."""
    registry = Registry()
    keys = [type(f"Key{number}", (), {}) for number in range(9)]
    for number, (needs, lifetime) in enumerate(rows):
        names = [f"need_{need}" for need in needs]
        namespace: dict = {}
        exec(f"def factory({', '.join(names)}): return [{', '.join(names)}]", namespace)
        factory = namespace["factory"]
        factory.__annotations__ = {f"need_{need}": keys[need] for need in needs}
        registry.register_factory(keys[number], factory, lifetime=lifetime)
    return registry, keys[: len(rows)]


def rotate(path):
    """Return the circle *path*, begun at its first key by name, so that circles can be compared."""
    circle = list(path[path.index(path[-1]) : -1])
    start = circle.index(min(circle, key=lambda key: key.__name__))
    return tuple(circle[start:] + circle[:start])


def identify(problem):
    """Return what a problem is about, so that problems can be compared."""
    if isinstance(problem, ServiceNotFoundError):
        return "missing", problem.key
    if isinstance(problem, CircularDependencyError):
        return "circle", rotate(problem.path)
    return "lifetime", problem.key, problem.needed_key


@settings(max_examples=2 * settings().max_examples)  # they are small, and quick
@given(edges)
@example([([0], "transient")])
@example([([1], "singleton"), ([0], "scoped")])
@example([([1, 2], "scoped"), ([2], "scoped"), ([0, 1], "scoped")])
@example([([1, 3], "scoped"), ([0], "scoped"), ([1, 3], "scoped"), ([1], "scoped")])
def test_validate_finds_whatever_running_would_meet(rows):
    """Every missing key, circle and lifetime that running meets is found before; and no other.

    Of circles that have services in common, at least one is found.
    """
    registry, keys = build(rows)
    try:
        registry.validate()
    except InvalidRegistryError as error:
        found = {identify(problem) for problem in error.exceptions}
    else:
        found = set()
    met = set()
    for key in keys:
        for is_child in (False, True):
            container = registry.container()
            try:
                (container.child() if is_child else container).get(key)
            except (ServiceNotFoundError, CircularDependencyError, LifetimeError) as error:
                met.add(identify(error))

    circles = [set(problem[1]) for problem in found if problem[0] == "circle"]
    unforeseen = [
        problem
        for problem in met - found
        if problem[0] != "circle" or not any(set(problem[1]) & circle for circle in circles)
    ]
    assert [] == unforeseen
    assert bool(found) == bool(met)


@pytest.mark.parametrize("shape", SYNC_SHAPES)
def test_the_worlds_notes(shape):
    """The model itself: one service of each shape is made, and left if it has a cleanup."""
    node = Node(0, (), shape, "scoped", None)
    world = World((node,))
    with world.registry.container() as container:
        service = container.get(world.keys[0])

    assert (0,) == getattr(service, "needs", service)
    assert node.is_closing == (("exit", 0) in world.events)
