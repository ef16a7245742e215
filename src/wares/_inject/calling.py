"""Calling any function, with its dependencies filled from a container.

This module knows which parameters of a call a container fills. `inject` reads and fills the
markers.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from wares._core.annotations import FindName
from wares._core.container import Container
from wares._core.keys import MISSING
from wares._core.needs import DependencyReader, Need
from wares._core.signatures import Autowired, read_shape, read_signature
from wares._inject.injection import inject
from wares.exceptions import AsyncServiceError


def call(
    container: Container,
    function: Callable[..., Any],
    arguments: Sequence[Any],
    named: Mapping[str, Any],
) -> Any:
    """Do what `Container.call` does."""
    planned = _Call(container, function, arguments, named)
    if read_shape(planned.target).is_async:
        reason = "it is asynchronous: use container.acall(...)"
        raise AsyncServiceError(planned.target, [planned.target], reason)
    filled = {need.name: container.get(need.key) for need in planned.find_needs()}
    with container.activate():
        return planned.run(filled)


async def acall(
    container: Container,
    function: Callable[..., Any],
    arguments: Sequence[Any],
    named: Mapping[str, Any],
) -> Any:
    """Do what `Container.acall` does."""
    planned = _Call(container, function, arguments, named)
    filled = {need.name: await container.aget(need.key) for need in planned.find_needs()}
    with container.activate():
        result = planned.run(filled)
        return await result if inspect.iscoroutine(result) else result


class _Call:
    """One call of a function.

    Attributes:
        target: The function, without `autowire` around it.
    """

    def __init__(
        self,
        container: Container,
        function: Any,
        arguments: Sequence[Any],
        named: Mapping[str, Any],
    ) -> None:
        self.target = function.factory if isinstance(function, Autowired) else function
        self._container = container
        needs = _read_needs(function, container.registry._known.find_name)
        marked = {need.name for need in needs if need.is_marked}
        self._needs = [need for need in needs if not need.is_marked]
        # What is passed for a marked parameter goes by its name.
        self._for_marked = {name: named[name] for name in marked if name in named}
        self._run = inject(self.target) if marked else self.target
        self._arguments = arguments
        self._named = {name: value for name, value in named.items() if name not in marked}

    def find_needs(self) -> Iterator[Need]:
        """Find what nobody has passed, and the container can fill."""
        for need in self._needs:
            is_open = need.name not in self._bound.arguments and need.key is not MISSING
            if is_open and (self._must_be_there(need) or self._is_there(need)):
                yield need

    def run(self, filled: Mapping[str, Any]) -> Any:
        """Call the function."""
        if not filled:
            return self._run(*self._arguments, **self._named, **self._for_marked)
        self._bound.arguments.update(filled)
        return self._run(*self._bound.args, **self._bound.kwargs, **self._for_marked)

    @functools.cached_property
    def _bound(self) -> inspect.BoundArguments:
        """The arguments by their parameters; a builtin without parameters needs nothing."""
        return inspect.signature(self._run).bind_partial(*self._arguments, **self._named)

    def _must_be_there(self, need: Need) -> bool:
        """Tell whether asking for it is right even where it is missing: that says what is wrong."""
        return need.default is MISSING and not need.takes_argument

    def _is_there(self, need: Need) -> bool:
        if need.key in self._container:
            return True
        return self._container._makers.find(need) is not None


class _CallReader(DependencyReader):
    """Reads what a function needs that its caller may pass as well."""

    def _read_key(self, parameter: inspect.Parameter) -> Any:
        # What cannot be read is the caller's business.
        return self._evaluate_if_possible(parameter)


def _read_needs(function: Any, find_name: FindName) -> tuple[Need, ...]:
    if isinstance(function, Autowired):
        return read_signature(function, Container, find_name).needs
    reader = _CallReader(function, Container, find_name, fills_defaults=False)
    # A default stays.
    return tuple(
        need for need in reader.read_needs() if need.is_marked or need.default is MISSING
    )
