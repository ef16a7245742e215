"""A function that asks for services by its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import attrs

from wares._core.callables import VARIADIC, Shape
from wares._core.keys import MISSING, is_plain
from wares._core.recipes import Recipe, recipe_for_call
from wares._core.registrations import Registrations
from wares._core.signatures import Need
from wares._inject.casting import FunctionCasts


@attrs.define(eq=False)
class Asker:
    """What one function needs of a container, besides the arguments of its callers.

    Attributes:
        function: The function.
        parameters: Its parameters.
        needs: What the marked ones ask for.
        extras: What is made for its effect, before them.
        shape: What calling its wrapper leads to.
        casts_arguments: Whether its arguments are cast, and those of its dependencies.
        aliases: The names of arguments, by the other names by which callers may pass them.
        open_needs: What only dependencies take of the call: more parameters, by keyword.
        recipe: Stands for a call of the function.
        casts: Casts its arguments and its result, once all is read.
        unread: Reads at the first call what cannot be read before, if there is such.
        dependencies: Those that were read when it was decorated: they are shared as long as they
            are kept here.
        hot: What gets the needs, with the token of the makers that it fits.
    """

    function: Callable[..., Any]
    parameters: tuple[inspect.Parameter, ...]
    needs: tuple[Need, ...]
    extras: tuple[Need, ...]
    shape: Shape
    casts_arguments: bool
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
        """Take what was read of the marked parameters."""
        self.needs = needs
        self.recipe = recipe_for_call(self.function, (*self.extras, *needs))
        self._dependency_casts = {}

    def casts_of(self, recipe: Recipe, registry: Registrations) -> FunctionCasts:
        """Give the casts of the arguments of a dependency; other functions have their own."""
        if recipe not in self._dependency_casts:
            needs = registry.read(recipe)
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
