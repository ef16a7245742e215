"""The parents, children and local registrations of containers; most containers have none."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from typing import Any, Literal, NewType

import attrs
from typing_extensions import TypeForm, TypeVar, Unpack

from wares._core.annotations import expand_alias
from wares._core.asking import CLOSED, Asking, Closed
from wares._core.claims import CLEANUPS
from wares._core.cleanups import (
    Cleanups,
    Entry,
    aleave_all,
    awaited_callbacks,
    leave_all,
    raise_as_it_is,
    refuse_pending,
)
from wares._core.keys import MISSING, describe
from wares._core.locking import LOCK, locked
from wares._core.log import log_registration
from wares._core.makers import Makers
from wares._core.recipes import Recipe, ValueOptions, recipe_for_factory, recipe_for_value
from wares.exceptions import (
    ContainerClosedError,
    InvalidLifetimeError,
    InvalidRegistrationError,
)

T = TypeVar("T")

#: The given objects of a container that was given none.
_NOTHING: Mapping[Hashable, Any] = {}

#: The types of most keys of given objects. A PEP 695 alias is of another type.
_PLAIN_KEYS = frozenset([type, ABCMeta, str, NewType])


@attrs.define(eq=False, repr=False)
class Family:
    """The parent, children and local registrations of one container.

    Attributes:
        parent: The parent of the container.
        children: The open children, in the order in which they were opened.
        given: The given objects before the first local registration.
        recipes: The local registrations.
        callbacks: The ``on_registry_close`` callbacks of local registrations.
    """

    parent: Related | None = None
    children: dict[Related, None] = attrs.field(factory=dict)
    given: Mapping[Hashable, Any] | None = None
    recipes: dict[Hashable, Recipe] = attrs.field(factory=dict)
    callbacks: Cleanups = attrs.field(factory=Cleanups)


class Related(Asking):
    """The part of `Container` that has a parent, children and local registrations."""

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
        **options: Unpack[ValueOptions],
    ) -> None:
        """Register how a service is made, for this container and its children only.

        Args:
            svc_type: The key of the service.
            factory: The callable that makes the service.
            lifetime: Which owner keeps the service; ``"singleton"`` cannot be local, and
                ``"connection"`` cannot be local to a child.
            options: The other options of `Registry.register_factory`, except for ``eager``.
                ``on_registry_close`` is called when this container closes.

        Raises:
            ContainerClosedError: This container is closed.
            InvalidRegistrationError: As in `Registry.register_factory`.
            InvalidLifetimeError: There is no such lifetime, or it cannot be local.
            UnresolvableParameterError: A required parameter has no annotation.
        """
        self._refuse_longer(svc_type, lifetime)
        self._register(recipe_for_factory(svc_type, factory, lifetime=lifetime, **options))

    def register_local_value(
        self, svc_type: TypeForm[T] | Hashable, value: T, **options: Unpack[ValueOptions]
    ) -> None:
        """Register a ready-made object, for this container and its children only.

        Args:
            svc_type: The key of the service.
            value: The object.
            options: As in `Registry.register_value`. ``on_registry_close`` is called when this
                container closes.

        Raises:
            ContainerClosedError: This container is closed.
            InvalidRegistrationError: As in `Registry.register_value`.
        """
        self._register(recipe_for_value(svc_type, value, **options))

    def _refuse_longer(self, key: object, lifetime: str) -> None:
        """Raise an error for a lifetime that is longer than this container's."""
        if lifetime == "singleton":
            reason = (
                "a container ends before the registry. Register it in the registry, or use "
                "'connection'."
            )
        elif lifetime == "connection" and self._outermost is not None:
            reason = "a child ends before its outermost container. Register it there."
        else:
            return
        raise InvalidLifetimeError(
            f"{describe(key)} cannot be registered locally with the lifetime {lifetime!r}: "
            f"{reason}"
        )

    def _give(self, given: Mapping[Hashable, Any]) -> None:
        """Add given objects, which replace any services made under their keys."""
        if self._made is CLOSED:
            raise self._make_closed_error()
        try:
            if not _PLAIN_KEYS.issuperset(map(type, given)):
                given = {
                    key if type(key) in _PLAIN_KEYS else expand_alias(key): service
                    for key, service in {**given}.items()
                }
            self._given = {**self._given, **given}
        except TypeError:
            raise InvalidRegistrationError(
                f"A container is given a mapping of keys to objects, and this is an instance of "
                f"{type(given).__qualname__}. Write {{key: object}}, as in "
                f"registry.container({{User: user}})."
            ) from None
        self._made.update(given)

    def _become_child_of(
        self, parent: Related, given: Mapping[Hashable, Any] | None = None
    ) -> None:
        """Become a child of *parent*, with its given objects and *given*, and close with it."""
        family = parent._get_family()
        self._family = Family(parent)
        self._outermost = parent if parent._outermost is None else parent._outermost
        self._use_makers()
        # From here on, the parent may close this container, and passes local registrations on.
        family.children[self] = None
        with LOCK:
            if self._made is not CLOSED and (parent._given or given):
                self._given = parent._given
                self._made.update(parent._given)
                self._give(given or {})

    def _reopen(self) -> None:
        """Open the container again, with its given objects and without local registrations."""
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

    def _find_local_recipes(self) -> dict[Hashable, Recipe]:
        """Return the local registrations of this container, and of those around it."""
        found: dict[Hashable, Recipe] = {}
        family = self._family
        while family is not None:
            found = {**family.recipes, **found}
            family = None if family.parent is None else family.parent._family
        return found

    def _get_family(self) -> Family:
        if self._family is None:
            with LOCK:
                # Another thread may have made it meanwhile.
                family: Family | None = self._family
                self._family = family or Family()
        return self._family

    def _descend(self) -> list[Related]:
        """List this container and its open descendants, each before its own children."""
        found: list[Related] = []
        todo: list[Related] = [self]
        while todo:
            container = todo.pop()
            found.append(container)
            if container._family is not None:
                todo += reversed(list(container._family.children))
        return found

    def _register(self, recipe: Recipe) -> None:
        if self._made is CLOSED:
            raise self._make_closed_error()
        log_registration(recipe)
        self._put(recipe, self._get_family())

    @locked
    def _put(self, recipe: Recipe, family: Family) -> None:
        """Put a local registration in force, here and in the descendants."""
        if self._made is CLOSED:
            # Another thread has closed this container, and may not have seen the family.
            raise self._make_closed_error()
        family.callbacks.note_callback(recipe)
        if family.given is None:
            family.given = self._given
        family.recipes[recipe.key] = recipe
        is_given = recipe.is_ready and recipe.key not in self.registry._registrations.overrides
        for container in self._list_heirs(recipe.key):
            container._remove_given(recipe.key)
            if is_given:
                container._given = {**container._given, recipe.key: recipe.value}
                # Another thread may close the child meanwhile.
                with suppress(ContainerClosedError):
                    container._made.setdefault(recipe.key, recipe.value)
        if not is_given:
            for container in self._descend():
                container._use_makers()

    def _list_heirs(self, key: Hashable) -> list[Related]:
        """List this container, and those within it that have nothing of their own under *key*."""
        given = self._given.get(key, MISSING)
        found: list[Related] = [self]
        for container in found:
            for child in list(container._get_family().children):
                is_own = key in child._get_family().recipes
                if not is_own and child._given.get(key, MISSING) is given:
                    found.append(child)
        return found

    def _remove_given(self, key: Hashable) -> None:
        """Remove the object given under *key*; a service that was made under the key stays."""
        before = self._given.get(key, MISSING)
        if before is not MISSING:
            self._given = {other: given for other, given in self._given.items() if other != key}
            if self._made.get(key) is before:
                del self._made[key]

    def _use_makers(self) -> None:
        """Use the makers of the container around this one, or some in which local factories win."""
        family = self._get_family()
        outer: Makers = self.registry._makers
        around = None
        if family.parent is not None:
            outer = around = family.parent._makers.request or family.parent._makers
        is_given = family.recipes.keys() <= self._given.keys()
        local = (family.recipes, *outer.local)
        self._makers = outer if is_given else Makers(outer.registry, local, around=around)

    def _refuse_pending(self) -> None:
        """Raise an error if a cleanup here or in a descendant must be awaited.

        Raises:
            PendingAsyncCleanupError: One must be awaited.
        """
        those: list[Cleanups | None] = []
        for container in self._descend():
            family = container._family
            those += [container._cleanups, None if family is None else family.callbacks]
        refuse_pending(those, "container")

    def _mark_closed(self, made: dict[Hashable, Any]) -> tuple[list[Entry], list[Entry]]:
        """Mark the container as closed; return its cleanups, and its callbacks."""
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
        for cleanups, callbacks in self._mark_all_closed(made):
            after = leave_all(cleanups, after, self.registry._registrations.observers)
            after = leave_all(callbacks, after)
        return after

    async def _aclose_family(
        self, made: dict[Hashable, Any], error: BaseException | None
    ) -> None:
        after = error
        for cleanups, callbacks in self._mark_all_closed(made):
            after = await aleave_all(cleanups, after, self.registry._registrations.observers)
            after = await aleave_all(awaited_callbacks(callbacks), after)
        if after is not error and after is not None:
            raise_as_it_is(after)

    def _mark_all_closed(
        self, made: dict[Hashable, Any]
    ) -> list[tuple[list[Entry], list[Entry]]]:
        """Mark this container and its descendants as closed; return the cleanups of each."""
        _, *children = self._descend()
        ended = [
            self._mark_closed(made),
            *(child._mark_closed(child._made) for child in children),
        ]
        return ended[::-1]

    @property
    def _cleanups(self) -> Cleanups | None:
        """The cleanups of the container, if it has any."""
        return self._made.get(CLEANUPS)


def take_cleanups(made: dict[Hashable, Any]) -> list[Entry]:
    """Take the cleanups out of *made*; if several threads close at once, one gets them."""
    cleanups: list[Entry] = made.pop(CLEANUPS, [])
    return cleanups
