"""A function that asks for services by its signature: what it needs, and how it gets it.

This module knows an injected function's needs and the plan that fills them.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from wares._core.annotations import Viewpoint, find_nothing
from wares._core.callables import VARIADIC, is_local, read_raw
from wares._core.container import Container, Registry
from wares._core.keys import MISSING, is_plain
from wares._core.marks import Mark, read_mark
from wares._core.recipes import Recipe, recipe_for_call
from wares._core.registrations import Registrations
from wares._core.signatures import (
    Need,
    Shape,
    as_key,
    describe_callable,
    is_marker,
    read_marked,
    read_shape,
)
from wares._inject.calls import find_calls, write_call
from wares._inject.casting import DependencyCasts, FunctionCasts, read_aliases
from wares._inject.checks import Findings, check_dependencies
from wares.exceptions import InvalidRegistrationError, UnresolvableParameterError


class Asker:
    """What one function needs of a container, beside the arguments of its callers.

    Attributes:
        function: The function.
        parameters: Its parameters.
        needs: What the marked ones ask for.
        extras: What is made for its effect, before them.
        names: The names of the others.
        aliases: The names of arguments, by the other names by which callers may pass them.
        open_needs: What only dependencies take of the call: more parameters, by keyword.
        shape: What calling its wrapper leads to.
        can_await: Whether the function is asynchronous.
        recipe: Stands for a call of the function.
        hot: What gets the needs, with the token of the makers that it fits.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        parameters: tuple[inspect.Parameter, ...],
        needs: tuple[Need, ...],
        extras: tuple[Need, ...],
        shape: Shape,
    ) -> None:
        self.function = function
        self.parameters = parameters
        self.shape = shape
        self.can_await = shape.is_async
        self.extras = extras
        self.open_needs: tuple[Need, ...] = ()
        self.aliases: dict[str, list[str]] = {}
        self.hot: tuple[object, Any] = (None, None)
        self._take(needs)
        marked = {need.name for need in needs}
        self.names = tuple(
            parameter.name
            for parameter in parameters
            if parameter.kind not in VARIADIC and parameter.name not in marked
        )
        # What is still to be read, at the first call.
        self._unread: _Reading | None = None
        # Dependencies that were read when the function was decorated live as long as it does.
        self._findings = Findings()

    @property
    def has_unread(self) -> bool:
        """Whether something is still to be read, at the first call."""
        return self._unread is not None

    @property
    def takes_any_name(self) -> bool:
        """Whether it takes keyword arguments of any name."""
        return any(parameter.kind is parameter.VAR_KEYWORD for parameter in self.parameters)

    @property
    def open_names(self) -> list[str]:
        """The names of what callers are shown, and only dependencies take."""
        return [
            need.name for need in self.open_needs if need.key is MISSING or is_plain(need.key)
        ]

    @property
    def has_function_scope(self) -> bool:
        """Whether something that it needs ends when it returns."""
        return any(need.scope == "function" for need in (*self.extras, *self.needs))

    def link(self, container: Container, more: Collection[str] = ()) -> Callable[..., Any]:
        """Give what gets the needs from *container*.

        Args:
            container: What will be asked.
            more: The names of arguments that callers have passed beside `names`.

        Returns:
            A function of the container, the arguments called `names`, those that were passed for
            the needs or `MISSING`, and what more was passed by name. It gives a tuple.
        """
        self.read_rest(container)
        makers = container._makers
        token = makers.token
        calls = find_calls(self, makers)
        names = calls.open_names.intersection(more)
        if names not in calls.written:
            calls.written[names] = write_call(self, makers, names)
        if not names:
            self.hot = (token, calls.written[names])
        return calls.written[names]

    def needs_call(
        self,
        recipe: Recipe,  # noqa: ARG002  # for those who cast
        needs: tuple[Need, ...],
        names: Collection[str],
        registry: Registrations,  # noqa: ARG002  # for those who cast
    ) -> bool:
        """Tell whether a dependency takes something of the call, and so belongs to it."""
        return any(need.takes_argument and need.name in names for need in needs)

    def find_factory(
        self,
        recipe: Recipe,
        needs: tuple[Need, ...],  # noqa: ARG002  # for those who cast
        registry: Registrations,  # noqa: ARG002  # for those who cast
    ) -> Callable[..., Any]:
        """Give what is called for a dependency that belongs to the call."""
        return recipe.factory

    def read_rest(self, container: Container) -> None:
        """Read what could not be read when the function was decorated."""
        reading = self._unread
        if reading is not None:
            self._take(reading.read_again(container.registry, self.needs))
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

    def _take(self, needs: tuple[Need, ...]) -> None:
        self.needs = needs
        self.recipe = recipe_for_call(self.function, (*self.extras, *needs))


class CastingAsker(Asker):
    """What a function needs whose arguments are cast, and those of its dependencies, too.

    A dependency that is made from something cast belongs to the call: what others share, in other
    calls that cast nothing, stays as it is.
    """

    casts: FunctionCasts

    def settle(self, viewpoint: Viewpoint) -> None:
        """Make the casts of the function's own arguments and result."""
        self.casts = FunctionCasts(
            self.function, self.needs, self.names, find_nothing, viewpoint
        )

    def complete(self, container: Container, arguments: Mapping[str, Any]) -> list[Any]:
        """Fill arguments that were not passed from pydantic's ``Field``."""
        self.read_rest(container)
        return self.casts.complete(arguments)

    def needs_call(
        self,
        recipe: Recipe,
        needs: tuple[Need, ...],
        names: Collection[str],
        registry: Registrations,
    ) -> bool:
        """Tell whether a dependency takes something of the call, or of what is cast for it."""
        if super().needs_call(recipe, needs, names, registry):
            return True
        return self._dependency_casts.may_change(recipe, needs, registry.find_name)

    def find_factory(
        self, recipe: Recipe, needs: tuple[Need, ...], registry: Registrations
    ) -> Callable[..., Any]:
        """Give what casts the arguments of a dependency before it is called."""
        return self._dependency_casts.wrap(recipe, needs, registry.find_name)

    def _take(self, needs: tuple[Need, ...]) -> None:
        super()._take(needs)
        self._dependency_casts = DependencyCasts()


def read_asker(
    function: Callable[..., Any],
    dependencies: Sequence[Any],
    frame: types.FrameType | None,
    kind: type[Asker] = Asker,
    shape: Shape | None = None,
) -> Asker:
    """Read what *function* needs, and check what can be checked before it is called.

    Args:
        function: Any callable.
        dependencies: Markers of what is made for its effect, before anything else.
        frame: Where it is decorated.
        kind: What kind of asker is made.
        shape: What calling its wrapper leads to, if not what calling *function* leads to.

    Raises:
        UnresolvableParameterError: A marker that cannot work where it stands, or a parameter of a
            dependency that nothing can fill.
        AsyncServiceError: A dependency is asynchronous, and the function is not.
        CircularDependencyError: Dependencies need each other in a circle.
        LifetimeError: Something that lives longer needs something that ends with a function.
    """
    reading = _Reading(function, frame)
    viewpoint = reading.look(may_import=False)
    needs = reading.read(find_nothing, viewpoint)
    parameters = tuple(read_raw(function).parameters.values())
    extras = _read_extras(function, dependencies)
    asker = kind(function, parameters, needs, extras, shape or read_shape(function))
    findings = asker.check(viewpoint)
    asker.open_needs = findings.open_needs
    if isinstance(asker, CastingAsker):
        asker.aliases = read_aliases(function, asker.open_needs, stand_in, viewpoint)
    if findings.has_unread or reading.has_unknown:
        asker._unread = reading
    else:
        asker.settle(viewpoint)
    return asker


class _Unknown(type):
    """The class of stand-ins for names that are not known yet."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return stand_in(f"{cls.__name__}.{name}")

    def __getitem__(cls, _: object) -> Any:
        return cls


def stand_in(name: str) -> Any:
    """Make what stands for a name that nobody knows, whatever an annotation does with it."""
    return _Unknown(name, (), {})


class _Reading:
    """Reads the marked parameters of one function, where names may be unknown for now."""

    def __init__(self, function: Callable[..., Any], frame: types.FrameType | None) -> None:
        self._function = function
        self._frame = frame if is_local(function) else None
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
            return stand_in(name)

        return read_marked(self._function, Container, find, viewpoint)

    def read_again(self, registry: Registry, before: tuple[Need, ...]) -> tuple[Need, ...]:
        """Read them once more, now that more is known than when *before* was read."""
        needs = self.read(registry._known.find_name, self.look(may_import=True))
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
            f"decorated, or register the class under that name. To ask for a service that is "
            f"registered under a string, write Depends('name').",
        )


def _is_unknown(key: object) -> bool:
    return isinstance(key, _Unknown) or any(map(_is_unknown, typing.get_args(key)))


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
        mark = read_mark(marker) if is_marker(marker) else Mark()
        if mark.key is None:
            message = (
                f"dependencies[{position}] of {describe_callable(function)} is not a marker that "
                f"names a dependency. Write dependencies=[Depends(check)]."
            )
            raise InvalidRegistrationError(message)
        needs.append(
            Need(
                f"dependencies[{position}]",
                as_key(mark.key) if callable(mark.key) else mark.key,
                by_keyword=False,
                is_marked=True,
                is_service=mark.is_service,
                use_cache=mark.use_cache,
                scope=mark.scope,
                casts=mark.casts,
            )
        )
    return tuple(needs)
