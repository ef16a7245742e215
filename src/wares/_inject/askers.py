"""A function that asks for services by its signature: what it needs, and how it gets it.

This module knows an injected function's needs and the plan that fills them. It must not know
how the function is called (that is `_wrappers`), nor how services are made.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import attrs

from wares._core.annotations import Viewpoint
from wares._inject.calls import Call, find_bound
from wares._inject.casting import DependencyCasts, FunctionCasts
from wares._inject.checks import Findings, check_dependencies
from wares._core.container import Container
from wares._core.keys import MISSING
from wares._core.plans import USES_BEFORE_PLAN, PlanBook
from wares._core.recipes import Recipe, recipe_for_call
from wares._core.registry import Registry
from wares._core.resolution import find_recipe, resolve, run
from wares._core.signatures import (
    Need,
    as_key,
    describe_callable,
    is_marker,
    read_marked,
    read_shape,
    unwrap,
)
from wares.exceptions import InvalidRegistrationError, UnresolvableParameterError

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Asker:
    """What one function needs of a container, beside the arguments of its callers.

    Attributes:
        function: The function.
        parameters: Its parameters.
        needs: What the marked ones ask for.
        extras: What is made for its effect, before them.
        names: The names of the others.
        can_await: Whether the function is asynchronous.
        hot: The plan that gets the needs, with the book and the generation that it fits.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        parameters: tuple[inspect.Parameter, ...],
        needs: tuple[Need, ...],
        extras: tuple[Need, ...],
    ) -> None:
        self.function = function
        self.parameters = parameters
        self.can_await = read_shape(function).is_async
        self.hot: tuple[PlanBook | None, int, Any] = (None, -1, None)
        self._parts: dict[frozenset[str], Asker] = {}
        self._take(needs, extras)
        marked = {need.name for need in needs}
        self.names = tuple(
            parameter.name
            for parameter in parameters
            if parameter.kind not in _VARIADIC and parameter.name not in marked
        )
        # What is still to be read, at the first call.
        self._unread: _Reading | None = None
        # Dependencies that were read when the function was decorated live as long as it does.
        self._findings = Findings()
        # Which plan is counted for, and how often the slow way was taken there.
        self._uses: tuple[PlanBook | None, int, int] = (None, -1, 0)

    @property
    def has_unread(self) -> bool:
        """Whether something is still to be read, at the first call."""
        return self._unread is not None

    @property
    def takes_any_name(self) -> bool:
        """Whether it takes keyword arguments of any name."""
        return any(parameter.kind is parameter.VAR_KEYWORD for parameter in self.parameters)

    @property
    def has_function_scope(self) -> bool:
        """Whether something that it needs ends when it returns."""
        return self.need.scope == "function"

    def ask(self, container: Container, arguments: Mapping[str, Any]) -> tuple[Any, ...]:
        """Get what the function needs."""
        self._prepare(container)
        plan = self._find_plan(container, arguments)
        return (
            self.resolve(container, arguments) if plan is None else plan(container, arguments)
        )

    async def aask(self, container: Container, arguments: Mapping[str, Any]) -> tuple[Any, ...]:
        """Get what the function needs, awaiting what has to be awaited."""
        self._prepare(container)
        plan = self._find_plan(container, arguments)
        if plan is None:
            return await self.aresolve(container, arguments)
        services: tuple[Any, ...] = await plan(container, arguments)
        return services

    def resolve(self, container: Container, arguments: Mapping[str, Any]) -> tuple[Any, ...]:
        """Get what the function needs the slow way."""
        call = self.open_call(container, arguments)
        services: tuple[Any, ...] = run(
            resolve(container, self.need, can_await=False, call=call)
        )
        return services

    async def aresolve(
        self, container: Container, arguments: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        """Get what the function needs the slow way, awaiting what has to be awaited."""
        call = self.open_call(container, arguments)
        services: tuple[Any, ...] = await resolve(
            container, self.need, can_await=True, call=call
        )
        return services

    def fill(
        self, container: Container, arguments: Mapping[str, Any], given: Sequence[Any]
    ) -> list[Any]:
        """Get what the caller has not *given*; give one service for each need."""
        part = self._part_for(container, given)
        return part.complete(given, part.ask(container, arguments))

    async def afill(
        self, container: Container, arguments: Mapping[str, Any], given: Sequence[Any]
    ) -> list[Any]:
        """Do what `fill` does, awaiting what has to be awaited."""
        part = self._part_for(container, given)
        return part.complete(given, await part.aask(container, arguments))

    def new_part(self, needs: tuple[Need, ...]) -> Asker:
        """Make who asks for some of the needs only."""
        return Asker(self.function, (), needs, self.extras)

    def complete(self, given: Sequence[Any], services: tuple[Any, ...]) -> list[Any]:
        """Put *services* where nothing was *given*."""
        made = iter(services[len(self.extras) :])
        return [next(made) if service is MISSING else service for service in given]

    def open_call(self, container: Container, arguments: Mapping[str, Any]) -> Call:
        """Find out which dependencies belong to a call with these arguments."""

        def find(need: Need) -> Recipe | None:
            if container._given and need.key in container._given:
                return None
            return find_recipe(container, need)

        return Call(arguments, self.find_bound(container.registry, arguments, find))

    def find_bound(
        self,
        registry: Registry,
        arguments: Mapping[str, Any],
        find: Callable[[Need], Recipe | None],
    ) -> Mapping[Hashable, Recipe]:
        """Find which dependencies belong to a call with these arguments."""

        def read(recipe: Recipe) -> tuple[Need, ...]:
            return recipe.read(Container, registry._find_name).needs

        def takes(recipe: Recipe) -> bool:
            return any(need.takes_argument and need.name in arguments for need in read(recipe))

        return find_bound(self.recipe, takes, find, read)

    def _take(self, needs: tuple[Need, ...], extras: tuple[Need, ...]) -> None:
        self.needs = needs
        self.extras = extras
        self.recipe = recipe_for_call(self.function, (*extras, *needs))
        is_short = any(need.scope == "function" for need in (*extras, *needs))
        self.need = Need(
            "",
            self.recipe,
            by_keyword=False,
            is_marked=True,
            use_cache=False,
            scope="function" if is_short else None,
        )

    def _part_for(self, container: Container, given: Sequence[Any]) -> Asker:
        """Give who asks only for what is not *given*."""
        self.read_rest(container)
        pairs = zip(self.needs, given, strict=True)
        missing = tuple(need for need, service in pairs if service is MISSING)
        names = frozenset(need.name for need in missing)
        part = self._parts.get(names)
        if part is None:
            part = self.new_part(missing)
            part.names = self.names
            # It asks where the whole would, though all that is short-lived may be given.
            part.need = attrs.evolve(part.need, scope=self.need.scope)
            self._parts[names] = part
        return part

    def _find_plan(self, container: Container, arguments: Mapping[str, Any]) -> Any:
        """Find the plan, if there is one that fits."""
        book, generation, plan = self.hot
        fits = book is container._plans and generation == container._plans.generation
        # A plan knows of no arguments but those that every call has.
        return plan if fits and len(arguments) == len(self.names) else None

    def _prepare(self, container: Container) -> None:
        """Count a use, and write a plan when it is time."""
        self.read_rest(container)
        book = container._plans
        generation = book.generation
        counted, counted_generation, uses = self._uses
        if counted is not book or counted_generation != generation:
            uses = 0
        self._uses = (book, generation, uses + 1)
        if uses + 1 != USES_BEFORE_PLAN:
            return
        arguments = dict.fromkeys(self.names)
        registry = container.registry
        # What is given or registered locally, no plan knows of, and so it looks for that first.
        bound = self.find_bound(registry, arguments, registry._find_recipe)
        plan = book.write_call(
            self.need,
            Call(arguments, bound),
            self.aresolve if self.can_await else self.resolve,
            can_await=self.can_await,
        )
        if plan is not None:
            self.hot = (book, generation, plan)

    def read_rest(self, container: Container) -> None:
        """Read what could not be read when the function was decorated."""
        reading = self._unread
        if reading is not None:
            self._take(reading.read_again(container.registry, self.needs), self.extras)
            viewpoint = reading.look(may_import=True)
            self.check(viewpoint)
            self.settle(viewpoint)
            self._unread = None

    def settle(self, viewpoint: Viewpoint) -> None:
        """Prepare what takes all names to be known."""

    def check(self, viewpoint: Viewpoint) -> Findings:
        """Check the dependencies, as far as they can be read from *viewpoint*."""
        self._findings = check_dependencies(
            self.recipe,
            self.names,
            viewpoint,
            can_await=self.can_await,
            takes_any_name=self.takes_any_name,
        )
        return self._findings


class CastingAsker(Asker):
    """What a function needs whose arguments are cast, and those of its dependencies, too.

    A dependency that is made from something cast belongs to the call: what others share, in other
    calls that cast nothing, stays as it is.
    """

    casts: FunctionCasts

    def _take(self, needs: tuple[Need, ...], extras: tuple[Need, ...]) -> None:
        super()._take(needs, extras)
        self._dependency_casts = DependencyCasts()

    def settle(self, viewpoint: Viewpoint) -> None:
        """Make the casts of the function's own arguments and result."""
        self.casts = FunctionCasts(self.function, self.needs, _find_nothing, viewpoint)

    def find_bound(
        self,
        registry: Registry,
        arguments: Mapping[str, Any],
        find: Callable[[Need], Recipe | None],
    ) -> Mapping[Hashable, Recipe]:
        """Find which dependencies belong to the call, and let their arguments be cast."""
        casts = self._dependency_casts

        def read(recipe: Recipe) -> tuple[Need, ...]:
            return recipe.read(Container, registry._find_name).needs

        def takes(recipe: Recipe) -> bool:
            needs = read(recipe)
            if recipe is self.recipe:
                return False
            takes_argument = any(
                need.takes_argument and need.name in arguments for need in needs
            )
            return takes_argument or casts.may_change(recipe, needs, registry._find_name)

        bound = find_bound(self.recipe, takes, find, read)
        return {
            key: recipe
            if recipe is self.recipe
            else casts.apply(recipe, read(recipe), registry._find_name)
            for key, recipe in bound.items()
        }

    def new_part(self, needs: tuple[Need, ...]) -> Asker:
        """Make who asks for some of the needs only."""
        return CastingAsker(self.function, (), needs, self.extras)


def read_asker(
    function: Callable[..., Any],
    dependencies: Sequence[Any],
    frame: types.FrameType | None,
    kind: type[Asker] = Asker,
) -> Asker:
    """Read what *function* needs, and check what can be checked before it is called.

    Args:
        function: Any callable.
        dependencies: Markers of what is made for its effect, before anything else.
        frame: Where it is decorated.
        kind: What kind of asker is made.

    Raises:
        UnresolvableParameterError: A marker that cannot work where it stands, or a parameter of a
            dependency that nothing can fill.
        AsyncServiceError: A dependency is asynchronous, and the function is not.
        CircularDependencyError: Dependencies need each other in a circle.
        LifetimeError: Something that lives longer needs something that ends with a function.
    """
    reading = _Reading(function, frame)
    viewpoint = reading.look(may_import=False)
    needs = reading.read(_find_nothing, viewpoint)
    parameters = tuple(inspect.signature(function).parameters.values())
    asker = kind(function, parameters, needs, _read_extras(function, dependencies))
    if asker.check(viewpoint).has_unread or reading.has_unknown:
        asker._unread = reading
    else:
        asker.settle(viewpoint)
    return asker


class _Unknown(type):
    """The class of stand-ins for names that are not known yet."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _stand_in(f"{cls.__name__}.{name}")

    def __getitem__(cls, _: object) -> Any:
        return cls


def _stand_in(name: str) -> Any:
    return _Unknown(name, (), {})


class _Reading:
    """Reads the marked parameters of one function, where names may be unknown for now."""

    def __init__(self, function: Callable[..., Any], frame: types.FrameType | None) -> None:
        self._function = function
        is_local = "<locals>" in getattr(unwrap(function)[-1], "__qualname__", "")
        self._frame = frame if is_local else None
        self.has_unknown = False

    def look(self, *, may_import: bool) -> Viewpoint:
        """Look from where the function is decorated, at what is there by now."""
        return Viewpoint(_read_locals(self._frame), may_import)

    def read(self, find_name: Callable[[str], Any], viewpoint: Viewpoint) -> tuple[Need, ...]:
        """Read them, with stand-ins for what nobody knows."""

        def find(name: str) -> Any:
            found = find_name(name)
            if found is not MISSING:
                return found
            self.has_unknown = True
            return _stand_in(name)

        return read_marked(self._function, Container, find, viewpoint)

    def read_again(self, registry: Registry, before: tuple[Need, ...]) -> tuple[Need, ...]:
        """Read them once more, now that more is known than when *before* was read."""
        needs = self.read(registry._find_name, self.look(may_import=True))
        for need in needs:
            if _is_unknown(need.key):
                raise self._unknown_error(need.name, "names something that is not there")
        for name in {need.name for need in needs} ^ {need.name for need in before}:
            raise self._unknown_error(
                name, "turned out to carry a marker only after the function was decorated"
            )
        return needs

    def _unknown_error(self, parameter: str, reason: str) -> UnresolvableParameterError:
        return UnresolvableParameterError(
            parameter,
            describe_callable(self._function),
            f"its annotation {reason}. Define or import what it names before the function is "
            f"decorated, or register the class under that name.",
        )


def _is_unknown(key: object) -> bool:
    return isinstance(key, _Unknown) or any(map(_is_unknown, typing.get_args(key)))


def _find_nothing(_: str) -> Any:
    return MISSING


def _read_locals(frame: types.FrameType | None) -> dict[str, Any]:
    """Read the names of the function that *frame* runs, also from within a class in it."""
    names: dict[str, Any] = {}
    while frame is not None and frame.f_locals is not frame.f_globals:
        names = {**frame.f_locals, **names}
        if frame.f_code.co_flags & inspect.CO_OPTIMIZED:
            break
        # The body of a class: the names of the function around it count as well.
        frame = frame.f_back
    return names


def _read_extras(function: Callable[..., Any], dependencies: Sequence[Any]) -> tuple[Need, ...]:
    needs = []
    for position, marker in enumerate(dependencies):
        if not is_marker(marker) or marker.dependency is None:
            message = (
                f"dependencies[{position}] of {describe_callable(function)} is not a marker that "
                f"names a dependency. Write dependencies=[Depends(check)]."
            )
            raise InvalidRegistrationError(message)
        key = getattr(marker.dependency, "__wares_key__", marker.dependency)
        needs.append(
            Need(
                f"dependencies[{position}]",
                as_key(key) if callable(key) else key,
                by_keyword=False,
                is_marked=True,
                use_cache=marker.use_cache,
                scope=getattr(marker, "scope", None),
            )
        )
    return tuple(needs)
