"""From a recipe to a service: looked up, waited for or made; written once, for sync and async.

This module knows how what is needed is made in order, once, and what happens when two want the
same thing at the same time. It must not know how a container is opened or closed, nor what a
framework is.

The logic is written as coroutines. A synchronous `get` runs them too: nothing in them ever
suspends then, because whatever would have to be awaited is refused before it is begun.

Who makes a key has claimed it: in the *traffic* of the container that will keep the service, or,
in a compiled plan (see `_plans`), by the steps that the plan is at. A second comer waits for the
first, after a look at who waits for whom: a circle of waiting is a circle of needs.
"""

from __future__ import annotations

import inspect
import time
from _thread import get_ident
from collections.abc import Coroutine, Hashable, Iterator
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from wares._inject.calls import Call
from wares._core.cleanups import (
    Cleanups,
    Entry,
    leave_async_context,
    leave_async_generator,
    leave_context,
    leave_generator,
)
from wares._core.keys import MISSING, describe_path, find_nearest
from wares._core.lock import LOCK
from wares._core.observation import observe_making
from wares._core.recipes import (
    Recipe,
    cannot_fill,
    give_all,
    is_async_context_manager,
    is_sync_context_manager,
    recipe_of_absence,
)
from wares._core.records import (
    CLOSED,
    NOTHING_TO_CLEAN,
    RECORD,
    begin_list,
    find_claim,
    own_record,
    publish,
    publish_if_any,
)
from wares._core.signatures import Need, Shape, describe_callable
from wares.exceptions import (
    AsyncServiceError,
    CircularDependencyError,
    ContainerClosedError,
    FactoryError,
    LifetimeError,
    RegistryClosedError,
    ServiceNotFoundError,
    UnresolvableParameterError,
    WaresError,
)

if TYPE_CHECKING:
    import concurrent.futures

    from wares._core.claims import Claim, Errand
    from wares._core.container import Container

T = TypeVar("T")

#: What making may be a part of: another making, the run of a plan, or what a plan begins with.
Link: TypeAlias = "Flow | Claim | Errand"

#: How the note on a factory's own exception begins.
_NOTE = "wares was making "


#: Stands, among what is given to a container, for a key that is registered locally.
LOCAL = MISSING

#: There in a moment: another thread makes something that takes no time.
_SOON = object()

#: The making that this task is within: factories that ask imperatively, and the tasks that they
#: start, continue it.
current_flow: ContextVar[Link | None] = ContextVar("wares_flow", default=None)

#: Who waits for the service of a key, by its owner; looked at only before somebody waits.
_waits: dict[tuple[Container, Hashable], set[Flow]] = {}


class Traffic:
    """Who makes what in a container, and who waits for it; there is one only while somebody does.

    Attributes:
        makers: The flow that makes a key.
        waiters: What to wake when a key is made, or when making it failed.
    """

    __slots__ = ("makers", "waiters")

    def __init__(self) -> None:
        self.makers: dict[Hashable, Flow] = {}
        self.waiters: dict[Hashable, list[concurrent.futures.Future[None]]] = {}


class Frame:
    """One service that is being made: what it needs, and what it has got so far."""

    __slots__ = (
        "arguments",
        "call",
        "is_claimed",
        "is_shared",
        "keywords",
        "made",
        "needs",
        "owner",
        "recipe",
    )

    def __init__(
        self,
        owner: Container,
        made: dict[Hashable, Any],
        recipe: Recipe,
        *,
        is_claimed: bool,
        call: Call | None = None,
        is_shared: bool = False,
    ) -> None:
        self.owner = owner
        # The call whose arguments it may take, and whether others of that call share it.
        self.call = call
        self.is_shared = is_shared
        self.made = made
        self.recipe = recipe
        self.is_claimed = is_claimed
        signature = recipe.read(type(owner)._own_class, owner.registry._find_name)
        self.needs: Iterator[Need] = iter(signature.needs)
        self.arguments: list[Any] = []
        self.keywords: dict[str, Any] = {}

    def fill(self, need: Need, service: Any) -> None:
        """Keep *service* as the argument for *need*."""
        if need.by_keyword:
            self.keywords[need.name] = service
        else:
            self.arguments.append(service)


class Flow:
    """One chain of making, on behalf of one `get`.

    Attributes:
        parent: The making in whose factory this one was asked for.
        frames: What is being made, the one asked for first.
        can_await: Whether the chain may wait for the event loop.
        thread: The thread that it runs in.
        is_over: Whether it has ended; tasks that outlive it no longer continue it.
    """

    __slots__ = ("can_await", "frames", "is_over", "parent", "thread")

    def __init__(self, parent: Link | None, *, can_await: bool) -> None:
        self.parent = parent
        self.frames: list[Frame] = []
        self.can_await = can_await
        self.thread = get_ident()
        self.is_over = False

    def own_steps(self) -> Iterator[tuple[Container, Recipe]]:
        """Go through what this flow itself is making, the innermost first."""
        return ((frame.owner, frame.recipe) for frame in reversed(self.frames))

    def own_path(self) -> list[Recipe]:
        """List the recipes that led to what is being made now."""
        return [frame.recipe for frame in self.frames]

    async def run(self, container: Container, need: Need, call: Call | None = None) -> Any:
        """Get what *need* asks for, and make what it takes."""
        outer = current_flow.get()
        current_flow.set(self)
        try:
            found = await self._acquire(container, need, call)
            return found if found is not self else await self._make_all()
        except BaseException as error:
            self._fail(error)
            raise
        finally:
            self.is_over = True
            # Not by a token: a coroutine that is closed ends in another context.
            current_flow.set(outer)

    async def _make_all(self) -> Any:
        """Make everything on the stack, what is needed first; return the last."""
        frames = self.frames
        pending: list[Need] = []
        while True:
            frame = frames[-1]
            need = next(frame.needs, None)
            if need is None:
                service = await self._make(frame)
                frames.pop()
                if not frames:
                    return service
                frames[-1].fill(pending.pop(), service)
                continue
            found = await self._supply(frame, need)
            if found is self:
                pending.append(need)
            elif found is not MISSING:
                frame.fill(need, found)
            elif not need.by_keyword:
                frame.fill(need, need.default)

    async def _supply(self, frame: Frame, need: Need) -> Any:
        """Find what a parameter needs; `self` means that it has to be made first."""
        if need.takes_argument:
            if frame.call is not None and need.name in frame.call.arguments:
                return frame.call.arguments[need.name]
            if need.default is MISSING and not can_find(frame.owner, need):
                raise self._nothing_fills(frame, need)
        if need.default is not MISSING and not can_find(frame.owner, need):
            # A singleton is also made from what was absent.
            self._note_source(recipe_of_absence(need.key))
            return MISSING
        return await self._acquire(frame.owner, need, frame.call)

    def _nothing_fills(self, frame: Frame, need: Need) -> UnresolvableParameterError:
        names = () if frame.call is None else frame.call.arguments
        return cannot_fill(need, frame.recipe, names, self._describe_steps())

    async def _acquire(self, container: Container, need: Need, call: Call | None = None) -> Any:
        """Find a service, or put a frame that makes it on the stack and return `self`."""
        if need.is_marked:
            container = self._find_level(container, need)
        made = container._made
        if made is CLOSED:
            raise closed_error(container)
        if call is not None and need.key in call.bound:
            return self._acquire_for(call, container, need)
        publish_if_any(made)
        if need.use_cache and need.key in made and self._may_share(container, need.key):
            return made[need.key]
        if need.key is type(container)._own_class:
            return container
        recipe = find_recipe(container, need)
        if recipe is None:
            raise self._not_there(container, need)
        if recipe.is_ready:
            self._note_source(recipe)
            return (
                recipe.value if container._is_root else made.setdefault(need.key, recipe.value)
            )
        # Before anything is claimed: reading may fail.
        recipe.read(type(container)._own_class, container.registry._find_name)
        if recipe.lifetime == "transient" or not need.use_cache:
            return self._begin_anew(container, made, recipe)
        owner = self._find_owner(container, recipe)
        found = await self._claim(owner, recipe)
        self._note_source(recipe)
        if found is not self and owner is not container:
            # Not what it has by now: it may have been closed meanwhile.
            made[need.key] = found
        return found

    def _begin_anew(
        self, container: Container, made: dict[Hashable, Any], recipe: Recipe
    ) -> Flow:
        """Put a frame on the stack that makes something for one asker only."""
        if any(recipe is other for _, other in self._all_steps()):
            raise CircularDependencyError(
                self._find_circle(recipe), steps=self._describe_steps(recipe)
            )
        self._refuse_to_await(recipe)
        self.frames.append(Frame(container, made, recipe, is_claimed=False))
        return self

    def _find_level(self, container: Container, need: Need) -> Container:
        """Find where what a marker names is kept: until the function returns, or longer."""
        request = container._request_container
        if need.scope == "function":
            if request is None:
                asker = next(iter(reversed(self._path())), need.key)
                raise LifetimeError(
                    asker, "request", need.key, "function", steps=self._describe_steps()
                )
            return container
        return container if request is None else request

    def _acquire_for(self, call: Call, container: Container, need: Need) -> Any:
        """Find what belongs to one call, or put a frame that makes it on the stack."""
        if need.use_cache and (container, need.key) in call.made:
            return call.made[container, need.key]
        recipe = call.bound[need.key]
        if any(frame.recipe is recipe for frame in self.frames):
            raise CircularDependencyError(
                self._find_circle(recipe), steps=self._describe_steps(recipe)
            )
        self._refuse_to_await(recipe)
        self.frames.append(
            Frame(
                container,
                container._made,
                recipe,
                is_claimed=False,
                call=call,
                is_shared=need.use_cache,
            )
        )
        return self

    def _may_share(self, container: Container, key: Hashable) -> bool:
        """Tell whether what is there already may be handed out without a look at its lifetime."""
        if container._is_root:
            return False
        asker = self._find_keeper()
        is_for_longer = asker is not None and asker.lifetime == "connection"
        return not is_for_longer or _is_given(container, key)

    def _find_owner(self, container: Container, recipe: Recipe) -> Container:
        """Find the container that keeps the service, and refuse one that ends too early."""
        if recipe.is_derived or recipe.is_ready:
            return container
        if recipe.lifetime == "singleton":
            return container.registry._get_root()
        asker = self._find_keeper()
        if container._is_root:
            raise self._outlived(asker, recipe)
        if recipe.lifetime == "connection":
            return container._outermost
        is_for_longer = asker is not None and asker.lifetime == "connection"
        if is_for_longer and container is container._outermost:
            raise self._outlived(asker, recipe)
        return container

    def _find_keeper(self) -> Recipe | None:
        """Find the kept service on whose behalf something is asked for."""
        for link in self._chain():
            for _, recipe in link.own_steps():
                if recipe.lifetime != "transient" and not recipe.is_derived:
                    return recipe
        return None

    def _outlived(self, asker: Recipe | None, recipe: Recipe) -> LifetimeError:
        key = "the registry's own container" if asker is None else asker.key
        lifetime = "singleton" if asker is None else asker.lifetime
        return LifetimeError(
            key, lifetime, recipe.key, recipe.lifetime, steps=self._describe_steps(recipe)
        )

    async def _claim(self, owner: Container, recipe: Recipe) -> Any:
        """Claim the making of a key, waiting for whoever claimed it first."""
        while True:
            with LOCK:
                found = self._try_claim(owner, recipe)
            if found is _SOON:
                _let_threads_run()
                continue
            if type(found) is not _Wait:
                return found
            try:
                await found.wait(can_await=self.can_await)
            finally:
                with LOCK:
                    self._end_wait(owner, recipe.key)

    def _try_claim(self, owner: Container, recipe: Recipe) -> Any:
        """Find the service, claim its making (`self`), or get something to wait on."""
        key = recipe.key
        made = owner._made
        if made is CLOSED:
            raise closed_error(owner)
        publish(made)
        if key in made:
            return made[key]
        traffic = owner._traffic
        if traffic is None or key not in traffic.makers:
            self._refuse_to_await(recipe)
        if traffic is None:
            traffic = owner._traffic = Traffic()
        holder: Flow | Claim | None = traffic.makers.get(key)
        if holder is None:
            holder = self._claim_beside_plans(owner, recipe, made, traffic)
            if holder is self:
                return self
            if holder is None:
                # A plan had made it between the two looks.
                wake(owner, key, None)
                return made[key]
        self._refuse_to_wait_in_a_circle(owner, recipe, holder)
        if not isinstance(holder, Flow) and not holder.takes_time(key):
            return _SOON
        wait = _Wait(traffic.waiters.setdefault(key, []))
        if key in made:
            # It was published before the plan could see that somebody waits.
            wake(owner, key, None)
            return made[key]
        _waits.setdefault((owner, key), set()).add(self)
        return wait

    def _claim_beside_plans(
        self, owner: Container, recipe: Recipe, made: dict[Hashable, Any], traffic: Traffic
    ) -> Flow | Claim | None:
        """Claim what no flow makes; give who makes it: this, a plan, or nobody any more."""
        key = recipe.key
        # First the claim, then the look at a plan: the plan looks the other way round. A plan that
        # makes no claim looks whether there is a record of the container's own.
        traffic.makers[key] = self
        own_record(made)
        holder = find_plan_at(made, key)
        publish(made)
        if holder is None and key not in made:
            owner._begin(recipe)
            self.frames.append(Frame(owner, made, recipe, is_claimed=True))
            return self
        del traffic.makers[key]
        return holder

    def _end_wait(self, owner: Container, key: Hashable) -> None:
        flows = _waits[owner, key]
        flows.remove(self)
        if not flows:
            del _waits[owner, key]

    def _refuse_to_wait_in_a_circle(
        self, owner: Container, recipe: Recipe, holder: Flow | Claim
    ) -> None:
        if (
            holder in self._chain()
            or is_further_up(holder)
            or self._is_waited_on_by(owner, recipe.key)
        ):
            raise CircularDependencyError(
                self._find_circle(recipe), steps=self._describe_steps(recipe)
            )
        if holder.can_await and not self.can_await and holder.thread == self.thread:
            raise AsyncServiceError(
                recipe.key,
                [*self._path(), recipe.key],
                "another task of this thread's event loop is making it",
            )

    def _find_circle(self, recipe: Recipe) -> list[Hashable]:
        path = self._path()
        start = path.index(recipe.key) if recipe.key in path else 0
        return [*path[start:], recipe.key]

    def _is_waited_on_by(self, owner: Container, key: Hashable) -> bool:
        """Tell whether who makes a key waits, over others that wait, for what this is making.

        It begins at this end: nobody waits for most of what is made, however many wait.
        """
        todo = self._held()
        seen = set()
        while todo:
            held = todo.pop()
            if held in seen:
                continue
            seen.add(held)
            for flow in _waits.get(held, ()):
                further = flow._held()
                if (owner, key) in further:
                    return True
                todo += further
        return False

    def _held(self) -> list[tuple[Container, Hashable]]:
        """List whatever others may wait for that this flow, or one that it continues, is making."""
        return [(owner, recipe.key) for owner, recipe in self._all_steps()]

    def _chain(self) -> Iterator[Link]:
        """Go through this flow and those that it continues."""
        link: Link | None = self
        while link is not None:
            if not link.is_over:
                yield link
            link = link.parent

    def _all_steps(self) -> Iterator[tuple[Container, Recipe]]:
        """Go through what is made by this flow and those that it continues, innermost first."""
        return (step for link in self._chain() for step in link.own_steps())

    def _path(self) -> list[Hashable]:
        return [recipe.key for recipe in self._recipes()]

    def _recipes(self) -> list[Recipe]:
        return [recipe for link in reversed(list(self._chain())) for recipe in link.own_path()]

    def _describe_steps(self, last: Recipe | None = None) -> list[str]:
        recipes = self._recipes()
        return [recipe.describe_step() for recipe in ([*recipes, last] if last else recipes)]

    def _not_there(self, container: Container, need: Need) -> WaresError:
        registry = container.registry
        key = need.key
        parameter = f", for the parameter {need.name!r}" if need.name else ""
        asker = next(iter(reversed(self._recipes())), None)
        if container._is_root and key in registry._expected and asker is not None:
            return LifetimeError(
                asker.key, asker.lifetime, key, "given", steps=self._describe_steps()
            )
        return ServiceNotFoundError(
            key,
            path=[*self._path(), key],
            steps=[
                *self._describe_steps(),
                f"{describe_path([key])}, not registered{parameter}",
            ],
            nearest=find_nearest(key, [*registry._recipes, *container._local_keys()]),
            is_expected=key in registry._expected,
        )

    def _note_source(self, recipe: Recipe) -> None:
        """Remember what a singleton is made from, so that an override finds it."""
        for owner, asker in self._all_steps():
            if asker is recipe or asker.lifetime == "transient" or asker.is_derived:
                continue
            # What a singleton needs is made for the registry, too. So where the nearest asker is
            # none, none of them is.
            if owner._is_root:
                owner._note_source(asker, recipe)
            return

    async def _make(self, frame: Frame) -> Any:
        """Call the factory, and keep what comes of it."""
        observers = frame.owner.registry._observers
        if observers:
            make = partial(self._call, frame)
            service, entry = await observe_making(observers, frame.recipe, make)
        else:
            product = frame.recipe.factory(*frame.arguments, **frame.keywords)
            service, entry = await self._settle(frame.recipe, product)
        service, cleanups = self._publish(frame, service, entry)
        if frame.owner._made is not frame.made:
            await take_back(frame.owner, cleanups, None if entry is None else entry[1])
        return service

    async def _call(self, frame: Frame) -> tuple[Any, Entry | None]:
        """Call the factory, and turn what it gives into the service and its cleanup."""
        product = frame.recipe.factory(*frame.arguments, **frame.keywords)
        return await self._settle(frame.recipe, product)

    async def _settle(self, recipe: Recipe, product: Any) -> tuple[Any, Entry | None]:
        """Turn what a factory gave into the service and its cleanup: await, advance, enter."""
        if _is_own_generator(recipe, product):
            return await self._advance(recipe, product)
        if recipe.is_value:
            return await self._enter(recipe, product)
        if _is_coroutine(product):
            if not self.can_await:
                product.close()
                raise self._must_be_awaited("its factory returned a coroutine")
            product = await product
        if not recipe.enter:
            return product, None
        return await self._enter(recipe, product)

    async def _advance(self, recipe: Recipe, generator: Any) -> tuple[Any, Entry]:
        if inspect.isgenerator(generator):
            service = next(generator, MISSING)
            if service is MISSING:
                raise not_yielded(recipe)
            return service, (leave_generator, generator, recipe)
        if not self.can_await:
            raise self._must_be_awaited("its factory is an asynchronous generator")
        try:
            service = await anext(generator)
        except StopAsyncIteration:
            raise not_yielded(recipe) from None
        return service, (leave_async_generator, generator, recipe)

    async def _enter(self, recipe: Recipe, product: Any) -> tuple[Any, Entry | None]:
        kind = type(product)
        is_async = is_async_context_manager(kind)
        if is_async and self.can_await:
            return await kind.__aenter__(product), (leave_async_context, product, recipe)
        if is_sync_context_manager(kind):
            return kind.__enter__(product), (leave_context, product, recipe)
        if is_async:
            raise self._must_be_awaited("it is an asynchronous context manager")
        return product, None

    def _refuse_to_await(self, recipe: Recipe) -> None:
        """Refuse an async factory under `get`, before anything is made for it."""
        if recipe.shape.is_async and not self.can_await:
            factory = describe_callable(recipe.factory)
            raise self._must_be_awaited(f"its factory, {factory}, is asynchronous", recipe)

    def _must_be_awaited(self, reason: str, *last: Recipe) -> AsyncServiceError:
        recipes = [*self._recipes(), *last]
        path = [recipe.key for recipe in recipes]
        asker = path[0] if recipes[0].factory is give_all else None
        return AsyncServiceError(path[-1], path, reason, asker=asker)

    def _publish(
        self, frame: Frame, service: Any, entry: Entry | None
    ) -> tuple[Any, Cleanups | None]:
        """Note the cleanup, and show the service to others; give it, and where that is noted."""
        owner, key = frame.owner, frame.recipe.key
        cleanups = None
        with LOCK:
            if entry is not None:
                cleanups = begin_cleanups(owner, frame.made)
                cleanups.add(entry)
            if frame.is_claimed:
                frame.made.setdefault(RECORD, NOTHING_TO_CLEAN)
                service = owner._keep(frame.recipe, service, frame.made)
                release(owner, key, None)
        if frame.call is not None and frame.is_shared:
            frame.call.made[owner, key] = service
        return service, cleanups

    def _fail(self, error: BaseException) -> None:
        """Give up all claims; whoever waits gets the error, or tries again itself."""
        if isinstance(error, Exception) and not isinstance(error, WaresError):
            note_path(error, self._recipes())
        told = error if isinstance(error, Exception) else None
        with LOCK:
            for frame in reversed(self.frames):
                if frame.is_claimed:
                    release(frame.owner, frame.recipe.key, told)


#: What Python says of a StopIteration that comes out of a coroutine (PEP 479).
_STOPPED = "coroutine raised StopIteration"


class _Wait:
    """Something to wait on until another flow has made a key."""

    __slots__ = ("_future",)

    def __init__(self, waiters: list[concurrent.futures.Future[None]]) -> None:
        import concurrent.futures  # noqa: PLC0415  # takes long to import, and waiting is rare

        self._future: concurrent.futures.Future[None] = concurrent.futures.Future()
        waiters.append(self._future)

    async def wait(self, *, can_await: bool) -> None:
        """Wait; raises the error that the making failed with."""
        if not can_await:
            self._future.result()
            return
        import asyncio  # noqa: PLC0415  # takes long to import

        await asyncio.wrap_future(self._future)


def _let_threads_run() -> None:
    """Let another thread finish what takes no time; tasks could not be in the middle of it."""
    time.sleep(0)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    except RuntimeError as error:
        if isinstance(error.__cause__, StopIteration) and str(error) == _STOPPED:
            # Python lets no StopIteration out of a coroutine; without one it would have come out.
            raise error.__cause__ from None
        raise
    coroutine.close()  # pragma: no cover  # no resolution does
    raise RuntimeError(  # pragma: no cover  # no resolution does
        "a synchronous resolution suspended; this is a defect of wares"
    )


async def resolve(
    container: Container, need: Need, *, can_await: bool, call: Call | None = None
) -> Any:
    """Get what *need* asks for from *container*, on behalf of a call if there is one."""
    flow = Flow(find_parent(container), can_await=can_await)
    return await flow.run(container, need, call)


def find_parent(container: Container) -> Link | None:
    """Find the making within which *container* is being asked."""
    parent = current_flow.get()
    claim = find_claim(container._made)
    if claim is None or _continues(parent, claim):
        return parent
    if claim.may_suspend or not claim.is_on_this_stack():
        return parent
    if claim.parent is None:
        claim._parent = parent
    return claim


def _continues(link: Link | None, claim: Claim) -> bool:
    """Tell whether a making is part of the run of a plan, or of what that run has asked for."""
    while link is not None and link is not claim:
        link = link.parent
    return link is not None


def is_further_up(holder: Flow | Claim) -> bool:
    """Tell whether a synchronous making runs further up on this very stack."""
    if isinstance(holder, Flow):
        return not holder.can_await and holder.thread == get_ident()
    return not holder.may_suspend and holder.is_on_this_stack()


def find_plan_at(made: dict[Hashable, Any], key: Hashable) -> Claim | None:
    """Find the plan that is making *key* right now."""
    claim = find_claim(made)
    while claim is not None:
        if claim.is_making(key, made):
            return claim
        claim = claim.outer
    return None


def release(owner: Container, key: Hashable, error: Exception | None) -> None:
    """End the making of *key* and wake whoever waits for it. Called with the lock held."""
    traffic = owner._traffic
    if traffic is not None:
        traffic.makers.pop(key, None)
        wake(owner, key, error)


def wake(owner: Container, key: Hashable, error: Exception | None) -> None:
    """Wake whoever waits for *key*, with an error if there was one. Called with the lock held."""
    traffic = owner._traffic
    if traffic is None:
        return
    for future in traffic.waiters.pop(key, ()):
        if future.set_running_or_notify_cancel():
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
    clear_traffic(owner, owner._made)


def clear_traffic(owner: Container, made: dict[Hashable, Any]) -> None:
    """Forget the traffic where there is none, unless a plan runs, which has to see it."""
    traffic = owner._traffic
    is_quiet = traffic is not None and not traffic.makers and not traffic.waiters
    if is_quiet and find_claim(made) is None:
        owner._traffic = None


async def take_back(owner: Container, cleanups: Cleanups | None, thing: Any) -> None:
    """Clean up something that was finished after its container had been closed, and say so.

    Args:
        owner: The container.
        cleanups: Where its cleanup was noted, if it has one.
        thing: What is to be left; whoever closes may have left it already.

    Raises:
        WaresError: What is closed.
    """
    with LOCK:
        position = next((i for i, one in enumerate(cleanups or ()) if one[1] is thing), None)
        entry = None if cleanups is None or position is None else cleanups.pop(position)
    if entry is not None:
        leave, _, recipe = entry
        left = leave(thing, recipe, None)
        if left is not None:
            await left
    raise closed_error(owner)


def find_recipe(container: Container, need: Need) -> Recipe | None:
    """Find how a service is made: overridden, registered locally, registered, or callable."""
    registry = container.registry
    key = need.key
    if key in registry._overrides:
        return registry._recipes[key]
    local = container._find_local(key)
    if local is not None:
        return local
    return registry._find_recipe(need)


def can_find(container: Container, need: Need) -> bool:
    """Tell whether there is something to be had for *need*."""
    return (
        need.key in container._made
        or need.key is type(container)._own_class
        or find_recipe(container, need) is not None
    )


def begin_cleanups(owner: Container, made: dict[Hashable, Any]) -> Cleanups:
    """Give the cleanups that belong to what *owner* has *made*. Called with the lock held.

    They are begun at the first one. From now on nobody else may use the list when it is empty.
    """
    record = own_record(made)
    if not record.is_idle:
        # The plan sees this as it ends, and says that others have been here.
        owner._traffic = owner._traffic or Traffic()
    # Not "else": it may have ended before it could see that.
    if record.is_idle:
        record.state = True
    cleanups = record.cleanups
    if cleanups is None:
        # Whoever closes may take it away at any moment, and so it is read just once.
        cleanups = record.cleanups = begin_list()
    return cleanups


def closed_error(owner: Container) -> WaresError:
    """Make the error that says what is closed."""
    return RegistryClosedError() if owner._is_root else ContainerClosedError()


def not_yielded(recipe: Recipe) -> FactoryError:
    """Make the error for a generator factory that ended before it yielded."""
    return FactoryError(recipe.key, describe_callable(recipe.factory), "did not yield")


def note_path(error: Exception, recipes: list[Recipe]) -> None:
    """Note on a factory's own exception which service was being made, once."""
    notes = getattr(error, "__notes__", ())
    if not recipes or any(note.startswith(_NOTE) for note in notes):
        return
    path = describe_path(recipe.key for recipe in recipes)
    error.add_note(f"{_NOTE}{path}, made by {describe_callable(recipes[-1].factory)}")


def _is_given(container: Container, key: Hashable) -> bool:
    """Tell whether an object was given to *container*, and so lives as long as it."""
    given = container._given
    return given is not None and given.get(key, LOCAL) is not LOCAL


def _is_own_generator(recipe: Recipe, product: object) -> bool:
    """Tell whether *product* is the running factory itself, which has yet to yield."""
    if not (inspect.isgenerator(product) or inspect.isasyncgen(product)):
        return False
    if recipe.shape in (Shape.GENERATOR, Shape.ASYNC_GENERATOR):
        return True
    return recipe._signature is not None and recipe._signature.may_return_generator


def _is_coroutine(product: object) -> bool:
    """Tell whether *product* has to be awaited to give the service."""
    return inspect.iscoroutine(product)
