"""Key to recipe, for an application's life.

This module knows what is registered, and what of it is overridden. It must not know how a
service is made, nor any framework.
"""

from __future__ import annotations

import inspect
from _thread import allocate_lock
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_args, get_origin

from wares._core.cleanups import (
    Failure,
    RegistryCleanups,
    aattempt,
    aleave_all,
    attempt,
    awaited_callbacks,
    leave_all,
    leave_callback,
    report,
)
from wares._core.keys import MISSING, describe, find_nearest, is_hashable
from wares._core.lock import LOCK
from wares._core.log import log_registration
from wares._core.observation import EVENTS
from wares._core.recipes import (
    Lifetime,
    Ping,
    Recipe,
    check_callback,
    check_key,
    find_dependency,
    recipe_for_dependency,
    recipe_for_factory,
    recipe_for_value,
)
from wares._core.signatures import Need, as_key, is_derivable
from wares.exceptions import (
    InvalidRegistrationError,
    PendingAsyncCleanupError,
    RegistryClosedError,
    ServiceNotFoundError,
    WaresError,
    raise_problems,
)

if TYPE_CHECKING:
    from typing_extensions import TypeForm, TypeVar, Unpack

    from wares._core.compositions import FactoryOptions, Generic, Part, ValueOptions
    from wares._core.container import Container, Root
    from wares._graph.graph import Graph
    from wares._core.plans import PlanBook

    T = TypeVar("T")

#: What runs when a registry closes: a callable, or an awaitable that is there already.
OnRegistryClose = Callable[[], object] | Awaitable[object]


class Registry:
    """What services there are and how they are made.

    Register at the start of the application, open a container for each request, and close the
    registry at the end. It is also a context manager, with and without ``async``, that closes it.

    >>> registry = Registry()
    >>> registry.register_factory(list, lambda: ["made", "once"])
    >>> with registry.container() as container:
    ...     container.get(list) is container.get(list)
    True
    """

    #: What `_container` fills in; so that imports go one way.
    _container_class: ClassVar[Any]
    _given_container_class: ClassVar[Any]
    _root_class: ClassVar[type[Root]]
    _new_plans: ClassVar[type[PlanBook]]

    #: What `_recording` fills in.
    _record: ClassVar[Callable[[Registry], AbstractContextManager[None]]]

    def __init__(self) -> None:
        self._registered: dict[Hashable, Recipe] = {}
        self._overrides: dict[Hashable, list[Recipe]] = {}
        # What is in force: the registered recipes under the overriding ones.
        self._recipes: dict[Hashable, Recipe] = {}
        self._expected: dict[Hashable, None] = {}
        self._seen: dict[tuple[Hashable, Hashable], None] = {}
        self._observers: tuple[object, ...] = ()
        self._parts: dict[Hashable, list[Part]] = {}
        self._decorations = 0
        self._generics: dict[Hashable, Generic] = {}
        self._derived: dict[int, Recipe] = {}
        self._names: dict[str, Any] | None = None
        self._is_closed = False
        self._close_claim = allocate_lock()
        self._callbacks = RegistryCleanups()
        self._before_close: list[Callable[[], object]] = []
        # Of containers that have nothing but what they make, of those that are given something,
        # of children, and of those that end with a function.
        self._plans = Registry._new_plans(self)
        self._given_plans = Registry._new_plans(self, has_given=True)
        self._child_plans = Registry._new_plans(self, has_given=True, is_child=True)
        self._function_plans = Registry._new_plans(
            self, has_given=True, is_child=True, is_function=True
        )
        self._root = Registry._root_class(self)

    def __repr__(self) -> str:
        state = ", closed" if self._is_closed else ""
        return f"<wares.Registry(services={len(self._recipes)}{state})>"

    def __contains__(self, key: object) -> bool:
        """Tell whether something is registered under *key*."""
        return key in self._recipes

    def __iter__(self) -> Iterator[Hashable]:
        """Go through the keys in the order of their registration."""
        return iter(list(self._recipes))

    def __bool__(self) -> bool:
        """Be true, also where nothing is registered."""
        return True

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close(error)

    async def __aenter__(self) -> Self:
        self._check_open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._aclose(error)

    def register_factory(
        self,
        key: TypeForm[T] | Hashable,
        factory: Callable[..., Any],
        *,
        lifetime: Lifetime = "scoped",
        enter: bool = True,
        ping: Ping | None = None,
        ping_timeout: float | None = None,
        tags: Iterable[str] = (),
        on_registry_close: OnRegistryClose | None = None,
        suppress_context_exit: bool = False,
    ) -> None:
        """Register how the service of *key* is made; the last registration wins.

        A factory may be any callable. Its required parameters are filled by their annotations, a
        first parameter named ``wares_container`` with the container. What it yields, or a context
        manager that it returns, is cleaned up when the owner of the service closes.

        Args:
            key: What the service is asked for by: a type, or anything hashable.
            factory: What makes it.
            lifetime: Which owner keeps it: ``"scoped"``, each container its own;
                ``"connection"``, the outermost of a chain of containers; ``"singleton"``, the
                registry; ``"transient"``, nobody: it is made anew each time.
            enter: Whether a context manager that the factory returns is entered.
            ping: What checks the service's health: it takes the service and raises if it is not
                well.
            ping_timeout: How many seconds the ping may take, if not as many as others.
            tags: Groups that the service belongs to, as ``"live"`` or ``"ready"``: a health check
                can be of one group only.
            on_registry_close: What is called when the registry closes; an awaitable that it
                returns is awaited.
            suppress_context_exit: Whether an exception under way is kept from the cleanup.

        Raises:
            InvalidRegistrationError: The key is not hashable, the factory or the ping not
                callable.
            InvalidLifetimeError: There is no such lifetime.
            UnresolvableParameterError: A required parameter has no annotation.
            RegistryClosedError: The registry is closed.
        """
        recipe = recipe_for_factory(
            key,
            factory,
            lifetime=lifetime,
            enter=enter,
            ping=ping,
            suppress_context_exit=suppress_context_exit,
            ping_timeout=ping_timeout,
            tags=tags,
        )
        self._register(recipe, on_registry_close)

    def register_value(
        self,
        key: TypeForm[T] | Hashable,
        value: T,
        *,
        enter: bool = False,
        ping: Ping | None = None,
        ping_timeout: float | None = None,
        tags: Iterable[str] = (),
        on_registry_close: OnRegistryClose | None = None,
        suppress_context_exit: bool = False,
    ) -> None:
        """Register a ready-made object under *key*; the last registration wins.

        It is handed out as it is: never awaited, and neither entered nor closed unless *enter* is
        set. Then each container enters it and exits it.

        Args:
            key: What the service is asked for by: a type, or anything hashable.
            value: The object.
            enter: Whether each container enters it as a context manager.
            ping: What checks the service's health: it takes the service and raises if it is not
                well.
            ping_timeout: How many seconds the ping may take, if not as many as others.
            tags: Groups that the service belongs to, as ``"live"`` or ``"ready"``: a health check
                can be of one group only.
            on_registry_close: What is called when the registry closes; an awaitable that it
                returns is awaited.
            suppress_context_exit: Whether an exception under way is kept from the exit.

        Raises:
            InvalidRegistrationError: The key is not hashable, the ping not callable, or the value
                is to be entered and is no context manager.
            RegistryClosedError: The registry is closed.
        """
        recipe = recipe_for_value(
            key,
            value,
            enter=enter,
            ping=ping,
            suppress_context_exit=suppress_context_exit,
            ping_timeout=ping_timeout,
            tags=tags,
        )
        self._register(recipe, on_registry_close)

    def register_alias(
        self, key: TypeForm[T] | Hashable, target: TypeForm[Any] | Hashable
    ) -> None:
        """Let *key* give the service of *target*: the same object, kept by the same owner.

        >>> registry = Registry()
        >>> registry.register_value(int, 5)
        >>> registry.register_alias(float, int)
        >>> with registry.container() as container:
        ...     container.get(float)
        5

        Args:
            key: What is asked for.
            target: What is given.

        Raises:
            InvalidRegistrationError: A key is not hashable, or both are the same.
            RegistryClosedError: The registry is closed.
        """
        from wares._core.compositions import recipe_for_alias  # noqa: PLC0415  # few applications compose

        self._register(recipe_for_alias(key, target), None)

    def add_factory(
        self,
        key: TypeForm[T] | Hashable,
        factory: Callable[..., Any],
        **options: Unpack[FactoryOptions],
    ) -> None:
        """Register one of several services of *key*; all are asked for as ``list[key]``.

        >>> registry = Registry()
        >>> registry.add_factory(str, lambda: "first")
        >>> registry.add_value(str, "second")
        >>> with registry.container() as container:
        ...     container.get(list[str])
        ['first', 'second']

        Args:
            key: What the services have in common.
            factory: What makes one of them.
            options: As in `register_factory`.

        Raises:
            InvalidRegistrationError: As in `register_factory`.
            InvalidLifetimeError: There is no such lifetime.
            UnresolvableParameterError: A required parameter has no annotation.
            RegistryClosedError: The registry is closed.
        """
        check_key(key)
        part = self._next_part(key)
        self.register_factory(part, factory, **options)
        self._add(key, part)

    def add_value(
        self, key: TypeForm[T] | Hashable, value: T, **options: Unpack[ValueOptions]
    ) -> None:
        """Register a ready-made object as one of several services of *key*.

        Args:
            key: What the services have in common.
            value: One of them.
            options: As in `register_value`.

        Raises:
            InvalidRegistrationError: As in `register_value`.
            RegistryClosedError: The registry is closed.
        """
        check_key(key)
        part = self._next_part(key)
        self.register_value(part, value, **options)
        self._add(key, part)

    def expect_several(self, key: TypeForm[T] | Hashable) -> None:
        """Let ``list[key]`` be asked for, though nothing may ever be added: it is empty then.

        Args:
            key: What the services have in common.

        Raises:
            InvalidRegistrationError: It is not hashable.
            RegistryClosedError: The registry is closed.
        """
        check_key(key)
        self._add(key)

    def register_generic(
        self, key: type, factory: Callable[..., Any], **options: Unpack[FactoryOptions]
    ) -> None:
        """Register how the services of all ``key[...]`` are made, for a generic class *key*.

        A parameter of the factory that is named ``wares_types`` receives the types in the
        brackets, as a tuple. What is registered under one ``key[...]`` by itself wins.

        >>> registry = Registry()
        >>> registry.register_generic(set, lambda wares_types=(): {wares_types})
        >>> with registry.container() as container:
        ...     container.get(set[int])
        {(<class 'int'>,)}

        Args:
            key: The class, without brackets.
            factory: What makes the services.
            options: As in `register_factory`. What is to be called when the registry closes is
                called for each ``key[...]`` that was made.

        Raises:
            InvalidRegistrationError: As in `register_factory`, or the class is not generic.
            InvalidLifetimeError: There is no such lifetime.
            UnresolvableParameterError: A required parameter has no annotation.
            RegistryClosedError: The registry is closed.
        """
        self._check_open()
        if not hasattr(key, "__class_getitem__"):
            raise InvalidRegistrationError(
                f"{describe(key)} is not generic. Use register_factory, or name a generic class."
            )
        from wares._core.compositions import Generic  # noqa: PLC0415  # few applications compose

        generic = Generic(factory, options)
        generic.check(key)
        self._generics[key] = generic
        self._forget()

    def decorate(self, key: TypeForm[T] | Hashable, decorator: Callable[..., Any]) -> None:
        """Put *decorator* around what is registered under *key*.

        Its first parameter receives the service as it was; the others are filled as those of a
        factory. The result has the lifetime, the ping and the tags of what it decorates, whose
        cleanup stays. It is not entered itself, but it may yield, and clean up so.

        >>> registry = Registry()
        >>> registry.register_factory(str, lambda: "service")
        >>> def praise(service: str) -> str:
        ...     return f"good {service}"
        >>> registry.decorate(str, praise)
        >>> with registry.container() as container:
        ...     container.get(str)
        'good service'

        Args:
            key: What is decorated.
            decorator: What makes the service from the one before.

        Raises:
            ServiceNotFoundError: Nothing is registered under *key*.
            InvalidRegistrationError: The decorator is not callable.
            UnresolvableParameterError: A required parameter has no annotation.
            RegistryClosedError: The registry is closed.
        """
        self._check_open()
        wanted: Any = key
        recipe = self._registered.get(wanted)
        if recipe is None:
            raise ServiceNotFoundError(wanted, nearest=find_nearest(wanted, self._registered))
        self._decorations += 1
        from wares._core.compositions import recipes_for_decoration  # noqa: PLC0415  # few applications compose

        for part in recipes_for_decoration(recipe, decorator, self._decorations):
            self._register(part, None)

    def expect(self, *keys: Hashable) -> None:
        """Announce *keys* that each container is given when it is opened, as a request is.

        `validate` then takes them for registered.

        Args:
            keys: What containers are given.

        Raises:
            InvalidRegistrationError: A key is not hashable.
        """
        for key in keys:
            check_key(key)
        self._expected.update(dict.fromkeys(keys))
        self._forget()

    @contextmanager
    def override_factory(
        self,
        key: TypeForm[T] | Hashable,
        factory: Callable[..., Any],
        *,
        lifetime: Lifetime = "scoped",
        enter: bool = True,
        ping: Ping | None = None,
        ping_timeout: float | None = None,
        tags: Iterable[str] = (),
        on_registry_close: OnRegistryClose | None = None,
        suppress_context_exit: bool = False,
    ) -> Iterator[None]:
        """Put another factory in the place of *key*'s while the ``with`` block lasts.

        Overrides nest. They win over registrations, local and later ones too, and singletons made
        from what they replace are set aside until the block ends. *key* may also be a callable
        that `Depends` names.

        Args:
            key: What is replaced.
            factory: What makes the service instead.
            lifetime: As in `register_factory`.
            enter: As in `register_factory`.
            ping: As in `register_factory`.
            ping_timeout: As in `register_factory`.
            tags: As in `register_factory`.
            on_registry_close: As in `register_factory`.
            suppress_context_exit: As in `register_factory`.
        """
        key = as_key(key) if callable(key) else key
        recipe = recipe_for_factory(
            key,
            factory,
            lifetime=lifetime,
            enter=enter,
            ping=ping,
            suppress_context_exit=suppress_context_exit,
            ping_timeout=ping_timeout,
            tags=tags,
            is_derived=is_hashable(key) and key not in self._registered and is_derivable(key),
        )
        with self._overriding(recipe, on_registry_close):
            yield

    @contextmanager
    def override_value(
        self,
        key: TypeForm[T] | Hashable,
        value: T,
        *,
        enter: bool = False,
        ping: Ping | None = None,
        ping_timeout: float | None = None,
        tags: Iterable[str] = (),
        on_registry_close: OnRegistryClose | None = None,
        suppress_context_exit: bool = False,
    ) -> Iterator[None]:
        """Put an object in the place of *key*'s service while the ``with`` block lasts.

        Args:
            key: What is replaced.
            value: The object that is handed out instead.
            enter: As in `register_value`.
            ping: As in `register_value`.
            ping_timeout: As in `register_value`.
            tags: As in `register_value`.
            on_registry_close: As in `register_value`.
            suppress_context_exit: As in `register_value`.
        """
        recipe = recipe_for_value(
            as_key(key) if callable(key) else key,
            value,
            enter=enter,
            ping=ping,
            suppress_context_exit=suppress_context_exit,
            ping_timeout=ping_timeout,
            tags=tags,
        )
        with self._overriding(recipe, on_registry_close):
            yield

    def container(self, given: Mapping[Hashable, Any] | None = None) -> Container:
        """Open a container for one request, event or job.

        Args:
            given: Objects that are there from the start, by their keys; they are never entered,
                awaited or closed.

        Returns:
            The container, to be closed when the request, event or job ends.

        Raises:
            RegistryClosedError: The registry is closed.
        """
        container: Container = (
            self._container_class(self)
            if given is None
            else self._given_container_class(self, given)
        )
        return container

    def validate(self) -> None:
        """Check that everything that is registered can be made; runs no factory.

        The lifespans of the adapters call it once the registrations are done.

        Raises:
            InvalidRegistryError: All problems at once: missing services, circles, lifetimes that
                do not fit, parameters that nothing can fill.
        """
        raise_problems("The registry has", self.graph().problems)

    def graph(self) -> Graph:
        """Draw up what needs what, as the factories declare it; runs no factory.

        Returns:
            The graph, with its problems.
        """
        from wares._graph.graph import Graph  # noqa: PLC0415  # not every application draws it

        self._make_generics()
        return Graph.over(
            self._recipes,
            self._expected,
            self._container_class,
            self._find_name,
            self._derive,
            self._seen,
        )

    def observe(self, observer: object) -> Callable[[], None]:
        """Tell *observer* what is made and cleaned up from now on, and how long it took.

        Nothing is paid for it while there is none. While there is one, services are made in the
        slower way that the first few requests take.

        >>> class Counter:
        ...     count = 0
        ...     def made(self, key, lifetime, duration):
        ...         self.count += 1
        >>> counter = Counter()
        >>> registry = Registry()
        >>> registry.register_factory(list, list)
        >>> stop = registry.observe(counter)
        >>> with registry.container() as container:
        ...     service = container.get(list)
        >>> counter.count
        1

        Args:
            observer: An object with some of the methods of `wares.observers.Observer`.

        Returns:
            A function that ends it.

        Raises:
            InvalidRegistrationError: It has none of these methods.
        """
        if not any(callable(getattr(observer, event, None)) for event in EVENTS):
            raise InvalidRegistrationError(
                f"An instance of {type(observer).__qualname__} observes nothing: it has no method "
                f"called {', '.join(EVENTS)}."
            )
        self._observers = (*self._observers, observer)
        self._forget()

        def stop() -> None:
            self._observers = tuple(one for one in self._observers if one is not observer)
            self._forget()

        return stop

    @contextmanager
    def record(self) -> Iterator[None]:
        """Note what factories ask for in their bodies, while the ``with`` block lasts.

        No signature tells of it, so `graph` cannot know otherwise. Asking takes longer meanwhile.

        >>> registry = Registry()
        >>> registry.register_factory(list, lambda wares_container: [wares_container.get(int)])
        >>> registry.register_factory(int, int)
        >>> with registry.record(), registry.container() as container:
        ...     service = container.get(list)
        >>> [(edge.source, edge.target, edge.kind) for edge in registry.graph().edges]
        [('list', 'int', 'seen')]
        """
        with Registry._record(self):
            yield

    def close(self) -> None:
        """End what the registry keeps: singletons, then ``on_registry_close``, each in reverse.

        Closing twice does nothing the second time.

        Raises:
            PendingAsyncCleanupError: A cleanup must be awaited; nothing has been touched.
            CleanupError: Cleanups failed; every other one ran.
        """
        self._close(None)

    async def aclose(self) -> None:
        """End what the registry keeps, as `close` does, and await what has to be awaited.

        Raises:
            CleanupError: Cleanups failed; every other one ran.
        """
        await self._aclose(None)

    def _make_generic(self, key: Hashable) -> Recipe | None:
        """Register what a generic class with types in brackets asks for, at its first use."""
        generic = self._generics.get(get_origin(key))
        if generic is None:
            return None
        with LOCK:
            # Of two threads, the second finds what the first has registered.
            if key not in self._recipes:
                self.register_factory(key, generic.bind(get_args(key)), **generic.options)
            return self._recipes[key]

    def _make_generics(self) -> None:
        """Register what generic classes are needed with, as far as signatures tell."""
        todo = list(self._recipes.values()) if self._generics else []
        for recipe in todo:
            try:
                needs = recipe.read(self._container_class, self._find_name).needs
            except WaresError:
                # The graph says what is wrong.
                continue
            for need in needs:
                made = None if need.key in self._recipes else self._make_generic(need.key)
                todo += [] if made is None else [made]

    def _next_part(self, key: Any) -> Part:
        from wares._core.compositions import Part  # noqa: PLC0415  # few applications compose

        return Part(key, "part", len(self._parts.get(key, ())) + 1)

    def _add(self, key: Any, *parts: Part) -> None:
        from wares._core.compositions import recipe_for_list  # noqa: PLC0415  # few applications compose

        self._check_open()
        known = self._parts[key] = [*self._parts.get(key, ()), *parts]
        self._register(recipe_for_list(list[key], known), None)

    def _register(self, recipe: Recipe, on_close: OnRegistryClose | None) -> None:
        self._check_open()
        self._note_callback(recipe, on_close)
        self._registered[recipe.key] = recipe
        log_registration(recipe)
        if recipe.key not in self._overrides:
            self._put_in_force(recipe.key, recipe)

    def _note_callback(self, recipe: Recipe, on_close: OnRegistryClose | None) -> None:
        check_callback(recipe.key, on_close)
        if on_close is not None:
            self._callbacks.append((leave_callback, on_close, recipe))

    def _put_in_force(self, key: Hashable, recipe: Recipe | None) -> None:
        with LOCK:
            # Who finds the recipe in force waits until what was made from it is back as well.
            if recipe is None:
                self._recipes.pop(key, None)
            else:
                self._recipes[key] = recipe
            self._forget()

    def _forget(self) -> None:
        """Drop what was derived from the recipes that were in force."""
        self._names = None
        for plans in (
            self._plans,
            self._given_plans,
            self._child_plans,
            self._function_plans,
        ):
            plans.clear()
        self._root._revise()

    @contextmanager
    def _overriding(self, recipe: Recipe, on_close: OnRegistryClose | None) -> Iterator[None]:
        self._check_open()
        self._note_callback(recipe, on_close)
        log_registration(recipe)
        key = recipe.key
        stack = self._overrides.setdefault(key, [])
        stack.append(recipe)
        self._put_in_force(key, recipe)
        try:
            yield
        finally:
            stack.remove(recipe)
            if stack:
                self._put_in_force(key, stack[-1])
            else:
                self._overrides.pop(key, None)
                self._put_in_force(key, self._registered.get(key))

    def _derive(self, key: Hashable) -> Recipe | None:
        """Make the recipe of a callable that nobody registered, or `None` if it is no callable."""
        if key is Registry:
            return recipe_for_value(
                key, self, enter=False, ping=None, suppress_context_exit=False
            )
        # By identity: equal callables share what they make, but each is called by who names it.
        recipe = self._derived.get(id(key)) or find_dependency(key)
        if recipe is None:
            recipe = recipe_for_dependency(key)
            if recipe is not None:
                recipe = self._derived.setdefault(id(key), recipe)
        return recipe

    def _find_recipe(self, need: Need) -> Recipe | None:
        """Find how a service is made, as far as the registry decides that."""
        recipe = self._recipes.get(need.key)
        if recipe is None and self._generics:
            recipe = self._make_generic(need.key)
        if recipe is None and need.is_marked and need.key not in self._expected:
            return self._derive(need.key)
        return recipe

    def _find_name(self, name: str) -> Any:
        """Find the registered class that is called *name*, where there is just one."""
        names = self._names
        if names is None:
            names = {}
            for key in [*self._recipes, *self._expected]:
                own = getattr(key, "__name__", None)
                if isinstance(own, str):
                    names[own] = MISSING if own in names else key
            self._names = names
        return names.get(name, MISSING)

    def _get_root(self) -> Root:
        """Give the container that keeps the singletons."""
        return self._root

    def _check_open(self) -> None:
        if self._is_closed:
            raise RegistryClosedError

    def _close(self, error: BaseException | None) -> None:
        if self._is_closed:
            return
        pending = self._pending_async()
        if pending:
            raise PendingAsyncCleanupError(pending, "registry")
        if not self._close_claim.acquire(blocking=False):
            return
        failures: list[Failure] = []
        for callback in self._start_closing():
            failures += attempt("an adapter", callback)
        failures += leave_all(self._root._end(), error)
        failures += leave_all(self._callbacks, error)
        report(failures, "registry", error)

    async def _aclose(self, error: BaseException | None) -> None:
        if self._is_closed or not self._close_claim.acquire(blocking=False):
            return
        failures: list[Failure] = []
        for callback in self._start_closing():
            failures += await aattempt("an adapter", callback)
        failures += await aleave_all(self._root._end(), error)
        failures += await aleave_all(awaited_callbacks(self._callbacks), error)
        report(failures, "registry", error)

    def _start_closing(self) -> list[Callable[[], object]]:
        """Refuse new containers; give what closes before the singletons do, the last one first."""
        self._is_closed = True
        callbacks = self._before_close[::-1]
        self._before_close.clear()
        return callbacks

    def _pending_async(self) -> list[Hashable]:
        return [
            *self._root._pending_async(),
            *(
                recipe.key
                for _, callback, recipe in self._callbacks
                if inspect.iscoroutinefunction(callback) or inspect.isawaitable(callback)
            ),
        ]
