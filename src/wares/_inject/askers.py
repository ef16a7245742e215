"""Askers: injected functions, with what was read of their signatures."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import attrs

from wares._core.callables import VARIADIC, Shape
from wares._core.keys import MISSING, is_plain
from wares._core.marks import Need
from wares._core.recipes import Recipe, recipe_for_call
from wares._inject.casting import FunctionCasts


@attrs.define(eq=False)
class Asker:
    """An injected function, and what it needs from a container and from its callers.

    Attributes:
        function: The function.
        parameters: Its parameters.
        needs: The needs of its marked parameters.
        extras: The needs that are made for their effect, before the others.
        shape: What calling its wrapper returns.
        casts_arguments: Whether its arguments are cast, and those of its dependencies.
        registry: The registry that `inject` was given, if any.
        aliases: The names of arguments, by the aliases by which callers may pass them.
        open_needs: The arguments that only its dependencies take: more keyword parameters.
        recipe: The recipe that stands for a call of the function.
        casts: Casts its arguments and its result, as soon as everything is read.
        unread: Reads at the first call what could not be read before; `None` if all is read.
        dependencies: The recipes read when the function was decorated. They are shared for as long
            as they are kept here.
        hot: The token of the `Makers` of a container, and the function that gets the needs from it.
    """

    function: Callable[..., Any]
    parameters: tuple[inspect.Parameter, ...]
    needs: tuple[Need, ...]
    extras: tuple[Need, ...]
    shape: Shape
    casts_arguments: bool
    registry: Any = None
    aliases: dict[str, list[str]] = attrs.field(factory=dict)
    open_needs: tuple[Need, ...] = ()
    recipe: Recipe = attrs.field(init=False)
    casts: FunctionCasts = attrs.field(init=False)
    unread: Any = None
    dependencies: tuple[Recipe, ...] = ()
    hot: tuple[object, Any] = (None, None)
    _dependency_casts: dict[Recipe, FunctionCasts] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.take(self.needs)

    def take(self, needs: tuple[Need, ...]) -> None:
        """Set the needs of the marked parameters."""
        self.needs = needs
        self.recipe = recipe_for_call(self.function, (*self.extras, *needs), self.registry)
        self._dependency_casts = {}

    def casts_of(self, recipe: Recipe) -> FunctionCasts:
        """Return the casts of the arguments of a dependency, when this function needs it."""
        if recipe not in self._dependency_casts:
            needs = recipe.read()
            names = [need.name for need in needs if need.takes_argument and need.casts]
            self._dependency_casts[recipe] = FunctionCasts(recipe.factory, needs, names)
        return self._dependency_casts[recipe]

    @property
    def can_await(self) -> bool:
        """Whether the function is asynchronous."""
        return self.shape.is_async

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters that are left to callers."""
        marked = {need.name for need in self.needs}
        return tuple(
            parameter.name
            for parameter in self.parameters
            if parameter.kind not in VARIADIC and parameter.name not in marked
        )

    @property
    def takes_any_name(self) -> bool:
        """Whether the function takes keyword arguments of any name."""
        return any(parameter.kind is parameter.VAR_KEYWORD for parameter in self.parameters)

    @property
    def open_names(self) -> list[str]:
        """The names of the arguments for dependencies that the signature shows to callers."""
        return [
            need.name for need in self.open_needs if need.key is MISSING or is_plain(need.key)
        ]

    @property
    def has_function_scope(self) -> bool:
        """Whether a dependency ends when the function returns."""
        return any(need.scope == "function" for need in (*self.extras, *self.needs))
