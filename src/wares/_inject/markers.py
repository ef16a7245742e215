"""What marks a parameter that is to be filled: `Depends` and `Inject`.

This module knows the marks. It must not know who reads them: `_signatures` does, by their shape,
so that those of FastAPI and FastDepends are read as well.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeVar

import attrs

from wares._core.keys import describe
from wares.exceptions import InvalidRegistrationError

T = TypeVar("T")

#: How long what a marker names lives: as long as the container, or until the function returns.
Scope: TypeAlias = Literal["request", "function"]

if TYPE_CHECKING:

    def Depends(  # noqa: N802  # to type checkers it gives whatever the parameter is annotated with
        dependency: Any = None, *, use_cache: bool = True, scope: Scope | None = None
    ) -> Any:
        """Mark a parameter; see the class below, which it is when the program runs."""

    Inject = Annotated[T, Depends()]
else:

    @attrs.frozen(init=False, repr=False)
    class Depends:
        """Mark a parameter that is filled by a dependency.

        Write it in ``Annotated`` or as the default:

        >>> from typing import Annotated
        >>> from wares import Depends, inject
        >>> def make_greeting() -> str:
        ...     return "hello"
        >>> @inject
        ... def greet(name: str, greeting: Annotated[str, Depends(make_greeting)]) -> str:
        ...     return f"{greeting} {name}"
        >>> greet("wares")
        'hello wares'

        Args:
            dependency: What fills it: a callable, or any key under which a service is
                registered. Without one it is the annotation of the parameter.
            use_cache: Whether the result is shared with whoever else in the container asks for
                the same.
            scope: ``"request"``, the default, lives as long as the container; ``"function"``
                ends right after the function that asked for it returns.

        Raises:
            InvalidRegistrationError: There is no such scope.
        """

        dependency: Any
        use_cache: bool
        scope: Scope | None

        def __init__(
            self, dependency: Any = None, *, use_cache: bool = True, scope: Scope | None = None
        ) -> None:
            if scope not in (None, "request", "function"):
                message = (
                    f"The scope {scope!r} does not exist. Use 'request', which is the default, "
                    f"or 'function'."
                )
                raise InvalidRegistrationError(message)
            self.__attrs_init__(dependency, bool(use_cache), scope)

        def __repr__(self) -> str:
            parts = [] if self.dependency is None else [describe(self.dependency)]
            if not self.use_cache:
                parts.append("use_cache=False")
            if self.scope is not None:
                parts.append(f"scope={self.scope!r}")
            return f"Depends({', '.join(parts)})"

    class Inject:
        """Ask for the service of a type: ``database: Inject[Database]``.

        ``Inject[T]`` is ``Annotated[T, Depends()]``.

        >>> from wares import Inject, Registry, inject
        >>> registry = Registry()
        >>> registry.register_value(str, "wares")
        >>> @inject(registry=registry)
        ... def greet(name: Inject[str]) -> str:
        ...     return f"hello {name}"
        >>> greet()
        'hello wares'
        """

        def __class_getitem__(cls, key: Hashable) -> Any:
            return Annotated[key, Depends()]
