"""What a container has that most have not: relatives, and registrations of its own."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, Literal

import attrs
from typing_extensions import TypeForm, TypeVar

from wares._core.asking import CLOSED, Asking, Closed
from wares._core.claims import CLEANUPS
from wares._core.cleanups import (
    Cleanups,
    Entry,
    aleave_all,
    awaited_callbacks,
    leave_all,
    leave_callback,
    raise_as_it_is,
)
from wares._core.keys import MISSING, describe
from wares._core.locking import LOCK
from wares._core.log import log_registration
from wares._core.makers import LocalMakers, Makers
from wares._core.recipes import (
    Ping,
    Recipe,
    check_callback,
    recipe_for_factory,
    recipe_for_value,
)
from wares._core.registering import OnRegistryClose
from wares.exceptions import (
    InvalidLifetimeError,
    InvalidRegistrationError,
    PendingAsyncCleanupError,
)

T = TypeVar("T")

#: What is given to most containers.
_NOTHING: Mapping[Hashable, Any] = {}


@attrs.define(eq=False, repr=False)
class Family:
    """What a container has that most have not: relatives, and registrations of its own.

    Attributes:
        parent: The container that it is a child of.
        children: The children that are open, in the order in which they were opened.
        given: What the container was given before anything was registered locally.
        recipes: What was registered locally.
        callbacks: What runs when the container closes, for its local registrations.
    """

    parent: Related | None = None
    children: dict[Related, None] = attrs.field(factory=dict)
    given: Mapping[Hashable, Any] | None = None
    recipes: dict[Hashable, Recipe] = attrs.field(factory=dict)
    callbacks: Cleanups = attrs.field(factory=Cleanups)


class Related(Asking):
    """A container, as far as it has relatives and registrations of its own."""

    _family: Family | None = None
    _given: Mapping[Hashable, Any] = _NOTHING

    @property
    def is_closed(self) -> bool:
        """Whether the container is closed."""
        return isinstance(self._made, Closed)

    def register_local_factory(
        self,
        svc_type: TypeForm[T] | Hashable,
        factory: Callable[..., Any],
        *,
        lifetime: Literal["connection", "scoped", "transient"] = "scoped",
        enter: bool = True,
        ping: Ping | None = None,
        ping_timeout: float | None = None,
        tags: Iterable[str] = (),
        on_registry_close: OnRegistryClose | None = None,
        suppress_context_exit: bool = False,
    ) -> None:
        """Register how a service is made, for this container and its children only.

        Args:
            svc_type: What the service is asked for by.
            factory: What makes it.
            lifetime: Which owner keeps it; ``"singleton"`` cannot be local.
            enter: As in `Registry.register_factory`.
            ping: As in `Registry.register_factory`.
            ping_timeout: As in `Registry.register_factory`.
            tags: As in `Registry.register_factory`.
            on_registry_close: What is called when this container closes.
            suppress_context_exit: As in `Registry.register_factory`.

        Raises:
            ContainerClosedError: This container is closed.
            InvalidRegistrationError: The key is not hashable, the factory or the ping not
                callable.
            InvalidLifetimeError: There is no such lifetime, or not locally.
            UnresolvableParameterError: A required parameter has no annotation.
        """
        _refuse_singleton(svc_type, lifetime)
        recipe = recipe_for_factory(
            svc_type,
            factory,
            lifetime=lifetime,
            enter=enter,
            ping=ping,
            suppress_context_exit=suppress_context_exit,
            ping_timeout=ping_timeout,
            tags=tags,
        )
        self._register_locally(recipe, on_registry_close)

    def register_local_value(
        self,
        svc_type: TypeForm[T] | Hashable,
        value: T,
        *,
        enter: bool = False,
        ping: Ping | None = None,
        ping_timeout: float | None = None,
        tags: Iterable[str] = (),
        on_registry_close: OnRegistryClose | None = None,
        suppress_context_exit: bool = False,
    ) -> None:
        """Register a ready-made object, for this container and its children only.

        Args:
            svc_type: What the service is asked for by.
            value: The object.
            enter: As in `Registry.register_value`.
            ping: As in `Registry.register_value`.
            ping_timeout: As in `Registry.register_value`.
            tags: As in `Registry.register_value`.
            on_registry_close: What is called when this container closes.
            suppress_context_exit: As in `Registry.register_value`.

        Raises:
            ContainerClosedError: This container is closed.
            InvalidRegistrationError: The key is not hashable, the ping not callable, or the value
                is to be entered and is no context manager.
        """
        recipe = recipe_for_value(
            svc_type,
            value,
            enter=enter,
            ping=ping,
            suppress_context_exit=suppress_context_exit,
            ping_timeout=ping_timeout,
            tags=tags,
        )
        self._register_locally(recipe, on_registry_close)

    def _give(self, given: Mapping[Hashable, Any]) -> None:
        """Put in objects as if they had been there from the start, in the place of others."""
        if self._made is CLOSED:
            raise self._make_closed_error()
        try:
            self._given = {**self._given, **given}
        except TypeError:
            message = (
                f"A container is given a mapping of keys to objects, and this is an instance of "
                f"{type(given).__qualname__}. Write {{key: object}}, as in "
                f"registry.container({{User: user}})."
            )
            raise InvalidRegistrationError(message) from None
        self._made.update(given)

    def _become_child_of(
        self, parent: Related, given: Mapping[Hashable, Any] | None = None
    ) -> None:
        """Be given what *parent* is given, and beside it *given*; close with it."""
        family = parent._get_family()
        self._family = Family(parent)
        self._outermost = parent if parent._outermost is None else parent._outermost
        self._use_makers(parent._makers.request or parent._makers)
        # From here on the parent may close it, and shows it what is registered there.
        family.children[self] = None
        with LOCK:
            if self._made is not CLOSED and (parent._given or given):
                self._give(parent._given)
                self._give(given or {})

    def _reopen(self) -> None:
        """Start anew: what was given stays, what was registered locally goes."""
        family, given = self._family, self._given
        if family is not None and family.given is not None:
            given = family.given
        self._family = None
        self._given = _NOTHING
        self._made = {}
        self._makers = self.registry._makers
        if family is not None and family.parent is not None:
            self._become_child_of(family.parent, given)
        elif given:
            self._give(given)

    def _find_local_keys(self) -> list[Hashable]:
        """List what is registered locally, here and in the containers around this one."""
        families = [container._family for container in self._line()]
        return [key for family in families if family is not None for key in family.recipes]

    def _get_family(self) -> Family:
        if self._family is None:
            with LOCK:
                # Another thread may have been first.
                family: Family | None = self._family
                self._family = family or Family()
        return self._family

    def _line(self) -> Iterator[Related]:
        """Go through this container and those around it."""
        container: Related | None = self
        while container is not None:
            yield container
            family = container._family
            container = None if family is None else family.parent

    def _descend(self) -> list[Related]:
        """List this container and the open ones within it, each before its own children."""
        found: list[Related] = []
        todo: list[Related] = [self]
        while todo:
            container = todo.pop()
            found.append(container)
            if container._family is not None:
                todo += reversed(list(container._family.children))
        return found

    def _register_locally(self, recipe: Recipe, on_close: OnRegistryClose | None) -> None:
        if self._made is CLOSED:
            raise self._make_closed_error()
        check_callback(recipe.key, on_close)
        family = self._get_family()
        log_registration(recipe)
        if on_close is not None:
            family.callbacks.must_await = True
            family.callbacks.append((leave_callback, on_close, recipe))
        is_given = recipe.is_ready and recipe.key not in self.registry._known.overrides
        with LOCK:
            if family.given is None:
                family.given = self._given
            family.recipes[recipe.key] = recipe
            for container in self._descend():
                container._take_back(recipe.key)
                if is_given and not container.is_closed:
                    container._given = {**container._given, recipe.key: recipe.value}
                    container._made.setdefault(recipe.key, recipe.value)
            if not is_given:
                outer = family.parent._makers if family.parent else self.registry._makers
                self._use_makers(outer)

    def _take_back(self, key: Hashable) -> None:
        """Let what was given under *key* be given no longer, unless something was made of it."""
        before = self._given.get(key, MISSING)
        if before is not MISSING:
            self._given = {other: it for other, it in self._given.items() if other != key}
            if self._made.get(key) is before:
                del self._made[key]

    def _use_makers(self, outer: Makers) -> None:
        """Let what is registered locally, here and in the children, stand before *outer*."""
        family = self._get_family()
        has_factories = any(not recipe.is_ready for recipe in family.recipes.values())
        self._makers = LocalMakers(outer, family.recipes) if has_factories else outer
        for child in list(family.children):
            child._use_makers(self._makers)

    def _refuse_pending(self) -> None:
        """Refuse to close what must be awaited.

        Raises:
            PendingAsyncCleanupError: Something must be awaited.
        """
        pending: list[Hashable] = []
        for container in self._descend():
            pending += container._cleanups.find_pending() if container._cleanups else []
            pending += container._family.callbacks.find_pending() if container._family else []
        if pending:
            raise PendingAsyncCleanupError(pending, "container")

    def _end(self, made: dict[Hashable, Any]) -> tuple[list[Entry], list[Entry]]:
        """Be closed; give what is to be cleaned up, and what is to be called after that."""
        self._made = CLOSED
        family = self._get_family()
        if family.parent is not None and family.parent._family is not None:
            family.parent._family.children.pop(self, None)
        with LOCK:
            callbacks = list(family.callbacks)
            family.callbacks.clear()
        return take_cleanups(made), callbacks

    def _close_family(
        self, made: dict[Hashable, Any], error: BaseException | None
    ) -> BaseException | None:
        after = error
        for cleanups, callbacks in self._end_all(made):
            after = leave_all(cleanups, after, self.registry._known.observers)
            after = leave_all(callbacks, after)
        return after

    async def _aclose_family(
        self, made: dict[Hashable, Any], error: BaseException | None
    ) -> None:
        after = error
        for cleanups, callbacks in self._end_all(made):
            after = await aleave_all(cleanups, after, self.registry._known.observers)
            after = await aleave_all(awaited_callbacks(callbacks), after)
        if after is not error and after is not None:
            raise_as_it_is(after)

    def _end_all(self, made: dict[Hashable, Any]) -> list[tuple[list[Entry], list[Entry]]]:
        """End this container and the open ones within it; give what each has to clean up."""
        _, *children = self._descend()
        ended = [self._end(made), *(child._end(child._made) for child in children)]
        return ended[::-1]

    @property
    def _cleanups(self) -> Cleanups | None:
        """What is to be cleaned up, if anything is."""
        return self._made.get(CLEANUPS)


def take_cleanups(made: dict[Hashable, Any]) -> list[Entry]:
    """Take the cleanups; of several that close at once, one gets them."""
    cleanups: list[Entry] = made.pop(CLEANUPS, [])
    return cleanups


def _refuse_singleton(key: object, lifetime: str) -> None:
    """Refuse a lifetime that is longer than a container's."""
    if lifetime == "singleton":
        message = (
            f"{describe(key)} cannot be registered locally with the lifetime 'singleton': a "
            f"container ends before the registry. Register it in the registry, or use "
            f"'connection'."
        )
        raise InvalidLifetimeError(message)
