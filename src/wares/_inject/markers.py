"""What marks a parameter that is to be filled: `Depends` and `Inject`.

This module knows the markers, and that FastAPI is to take them for its own. `wares._core.marks`
reads them, and those of FastAPI and FastDepends as well. This module does not import FastAPI:
before other code has imported it, no marker can reach it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Hashable
from typing import TYPE_CHECKING, Annotated, Any, ForwardRef, Literal, TypeAlias, TypeVar

import attrs

from wares._core.keys import describe, is_hashable
from wares._core.marks import Mark, explain_uncalled, find_markers
from wares.exceptions import InvalidRegistrationError

T = TypeVar("T")

#: How long what a marker names lives: as long as the container, or until the function returns.
Scope: TypeAlias = Literal["request", "function"]

if TYPE_CHECKING:

    def Depends(  # noqa: N802  # to type checkers it gives whatever the parameter is annotated with
        dependency: Any = None,
        *,
        use_cache: bool = True,
        scope: Scope | None = None,
        cast: bool = True,
    ) -> Any:
        """Mark a parameter; see the class below, which it is when the program runs."""

    Inject = Annotated[T, Depends()]
else:

    class _UncalledMarker(type):
        """The class of the markers themselves, which stand for nothing until they are called.

        FastAPI is to take them for its own as well: it would read ``Annotated[User, Depends]`` from
        the request.
        """

        @property
        def __class__(cls) -> type:
            return _find_fastapi() or type(cls)

        @property
        def dependency(cls) -> Any:
            """Refuse to name a dependency, for which FastAPI asks, or a schema, as pydantic does.

            Raises:
                InvalidRegistrationError: Always.
            """
            raise InvalidRegistrationError(explain_uncalled(cls))

        __get_pydantic_core_schema__ = dependency

    class Depends(metaclass=_UncalledMarker):
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

        A callable that is not registered is called. Whatever else it names has to be registered.

        Args:
            dependency: What fills it: a callable, or any key under which a service is
                registered. Without one it is the annotation of the parameter.
            use_cache: Whether the result is shared with all who ask for the same in the container.
            scope: ``"request"``, the default, lives as long as the container; ``"function"``
                ends right after the function that asked for it returns.
            cast: Whether `apply_types` casts the result, and the arguments that the dependency
                takes.

        Raises:
            InvalidRegistrationError: There is no such scope, or *dependency* is a marker.
        """

        __slots__ = ("_mark",)

        def __init__(
            self,
            dependency: Any = None,
            *,
            use_cache: bool = True,
            scope: Scope | None = None,
            cast: bool = True,
        ) -> None:
            if scope not in (None, "request", "function"):
                message = (
                    f"The scope {scope!r} does not exist. Use 'request', which is the default, "
                    f"or 'function'."
                )
                raise InvalidRegistrationError(message)
            if any(True for _ in find_markers(dependency)):
                message = (
                    f"Depends({describe(dependency)}) names a marker. Write one of the two: "
                    f"Inject[...] as the annotation, or Depends(...) with what is to be called."
                )
                raise InvalidRegistrationError(message)
            self._mark = Mark(
                dependency, use_cache=bool(use_cache), scope=scope, casts=bool(cast)
            )

        @property
        def __class__(self) -> type:
            """FastAPI's class of markers where FastAPI is loaded: it reads no other one."""
            return _find_fastapi() or type(self)

        def __getattr__(self, name: str) -> Any:
            """Give what FastAPI's marker has; without FastAPI, what both have."""
            if _find_fastapi():
                return getattr(self._show(), name)
            if name == "dependency":
                return self._mark.key
            if name in ("use_cache", "scope"):
                return getattr(self._mark, name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

        def __class_getitem__(cls, key: object) -> Any:
            """Refuse brackets, which `Inject` has."""
            message = "Depends takes parentheses, not brackets. Write Depends(dependency)."
            raise InvalidRegistrationError(message)

        def __copy__(self) -> Any:
            """Give FastAPI's marker: FastAPI copies those whose annotation names the dependency."""
            return self._show() if _find_fastapi() else self

        def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
            """Refuse to be part of what pydantic reads from its input.

            Raises:
                InvalidRegistrationError: Always.
            """
            of = "" if handler.field_name is None else f", for {handler.field_name!r},"
            raise InvalidRegistrationError(
                f"A marker asks for {describe(source)}{of} where pydantic would read it from its "
                f"input, so that clients could send it. Decorate the function with @inject, below "
                f"the decorator that registers it. In FastAPI, write Inject[T | None] instead of "
                f"Inject[T] | None. In the field of a model, leave the marker out."
            )

        def _show(self) -> Any:
            return _show_to_fastapi(self._mark)

        def __eq__(self, other: object) -> bool:
            return type(other) is type(self) and other._mark == self._mark

        def __hash__(self) -> int:
            return hash(self._mark)

        def __repr__(self) -> str:
            mark = self._mark
            parts = [] if mark.key is None else [describe(mark.key)]
            if not mark.use_cache:
                parts.append("use_cache=False")
            if mark.scope is not None:
                parts.append(f"scope={mark.scope!r}")
            if not mark.casts:
                parts.append("cast=False")
            return f"{type(self).__name__}({', '.join(parts)})"

    class Service(Depends):
        """What `Inject` puts into an annotation.

        Args:
            key: What is in the brackets of `Inject`.
            scope: As `Depends` has it.
        """

        __slots__ = ("_key",)

        def __init__(self, key: Hashable, scope: Scope | None = None) -> None:
            if not is_hashable(key):
                message = (
                    f"{describe(key)} cannot be a key, because it is not hashable. Name a type, "
                    f"or something hashable in Annotated."
                )
                raise InvalidRegistrationError(message)
            # The annotation tells the key, once its names are there. FastAPI does not read it.
            self._mark = Mark(is_service=True, scope=scope)
            self._key = key

        def _show(self) -> Any:
            key = None if _is_open(self._key) else self._key
            return _show_to_fastapi(attrs.evolve(self._mark, key=key))

        def __repr__(self) -> str:
            return f"Inject[{describe(self._key)}]"

    class Inject(metaclass=_UncalledMarker):
        """Ask for the service of a type: ``database: Inject[Database]``.

        It is what is registered under that type, or what the container was given. `inject` fills
        such parameters, and so does FastAPI in path operations, in their dependencies and in
        WebSocket endpoints.

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
            return Annotated[key, Service(key)]

        def __new__(cls, *_: object) -> Any:
            """Refuse parentheses: type checkers know brackets only."""
            message = "Inject takes brackets, not parentheses. Write Inject[Type]."
            raise InvalidRegistrationError(message)


def _find_fastapi() -> type | None:
    """Find FastAPI's class of markers, once FastAPI is loaded."""
    return getattr(sys.modules.get("fastapi.params"), "Depends", None)


def _is_open(key: Any) -> bool:
    """Tell whether only the annotation of a parameter will tell what *key* is."""
    return isinstance(key, str | ForwardRef | TypeVar) or bool(
        getattr(key, "__parameters__", ())
    )


def _show_to_fastapi(mark: Mark) -> Any:
    """Make FastAPI's own marker of ours."""
    # By its name, because it imports FastAPI; which is loaded, but not always by that adapter.
    return importlib.import_module("wares.fastapi").show_marker(mark)
