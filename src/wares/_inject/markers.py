"""The markers `Depends` and `Inject`.

`wares._core.marks` reads these markers, and those of FastAPI and FastDepends. FastAPI accepts these
markers as its own, because they pretend to be instances of its class. This module does not import
FastAPI: before other code has imported it, no marker can reach it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Hashable
from typing import TYPE_CHECKING, Annotated, Any, ForwardRef, Literal, TypeAlias, TypeVar

import attrs

from wares._core.keys import describe, is_hashable
from wares._core.marks import Need, explain_uncalled, find_markers
from wares.exceptions import InvalidRegistrationError

T = TypeVar("T")

#: How long a dependency lives: as long as the container, or until the function returns.
Scope: TypeAlias = Literal["request", "function"]

if TYPE_CHECKING:

    def Depends(  # noqa: N802  # for type checkers a function that returns the annotated type
        dependency: Any = None,
        *,
        use_cache: bool = True,
        scope: Scope | None = None,
        cast: bool = True,
    ) -> Any:
        """Mark a parameter; see the class below, which replaces this when the program runs."""

    Inject = Annotated[T, Depends()]
else:

    class _UncalledMarker(type):
        """The metaclass of `Depends` and `Inject`, which refuses both where they are not called.

        FastAPI must accept the classes as markers, too: otherwise it would read the parameter of
        ``Annotated[User, Depends]`` from the request.
        """

        @property
        def __class__(cls) -> type:
            return _find_fastapi() or type(cls)

        @property
        def dependency(cls) -> Any:
            """Raise an error where FastAPI asks for the dependency, or pydantic for a schema.

            Raises:
                InvalidRegistrationError: Always.
            """
            raise InvalidRegistrationError(explain_uncalled(cls))

        __get_pydantic_core_schema__ = dependency

    class Depends(metaclass=_UncalledMarker):
        """Mark a parameter that a dependency fills.

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

        An unregistered callable is called. Any other key must be registered.

        Args:
            dependency: A callable, or the key of a registered service. Without it, the annotation
                of the parameter.
            use_cache: Whether the result is shared with other parameters that ask the same
                container for it.
            scope: ``"request"``, the default: the result lives as long as the container;
                ``"function"``: it ends right after the function that asked for it returns.
            cast: Whether `apply_types` casts the result, and the arguments that the dependency
                takes.

        Raises:
            InvalidRegistrationError: There is no such scope, or *dependency* is a marker.
        """

        __slots__ = ("_need",)

        def __init__(
            self,
            dependency: Any = None,
            *,
            use_cache: bool = True,
            scope: Scope | None = None,
            cast: bool = True,
        ) -> None:
            if scope not in (None, "request", "function"):
                raise InvalidRegistrationError(
                    f"The scope {scope!r} does not exist. Use 'request', which is the default, "
                    f"or 'function'."
                )
            if any(True for _ in find_markers(dependency)):
                raise InvalidRegistrationError(
                    f"Depends({describe(dependency)}) names a marker. Write one of the two: "
                    f"Inject[...] as the annotation, or Depends(...) with a callable."
                )
            self._need = Need(
                "",
                dependency,
                is_marked=True,
                use_cache=bool(use_cache),
                scope=scope,
                casts=bool(cast),
            )

        @property
        def __class__(self) -> type:
            """FastAPI's class of markers, if FastAPI is loaded: it accepts no other class."""
            return _find_fastapi() or type(self)

        def __getattr__(self, name: str) -> Any:
            """Return an attribute of FastAPI's marker; without FastAPI, one that both have."""
            if _find_fastapi():
                return getattr(self._show(), name)
            if name == "dependency":
                return self._need.key
            if name in ("use_cache", "scope"):
                return getattr(self._need, name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

        def __class_getitem__(cls, key: object) -> Any:
            """Raise an error for brackets, which belong to `Inject`."""
            raise InvalidRegistrationError(
                "Depends takes parentheses, not brackets. Write Depends(dependency)."
            )

        def __copy__(self) -> Any:
            """Return FastAPI's marker: FastAPI copies ``Depends()``, to add the annotation."""
            return self._show() if _find_fastapi() else self

        def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
            """Raise an error where pydantic would read the parameter from its input.

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
            return _show_to_fastapi(self._need)

        def __eq__(self, other: object) -> bool:
            return type(other) is type(self) and other._need == self._need

        def __hash__(self) -> int:
            return hash(self._need)

        def __repr__(self) -> str:
            need = self._need
            parts = [] if need.key is None else [describe(need.key)]
            if not need.use_cache:
                parts.append("use_cache=False")
            if need.scope is not None:
                parts.append(f"scope={need.scope!r}")
            if not need.casts:
                parts.append("cast=False")
            return f"{type(self).__name__}({', '.join(parts)})"

    class Service(Depends):
        """The marker that `Inject` puts into an annotation.

        Args:
            key: The key in the brackets of `Inject`.
            scope: As in `Depends`.
        """

        __slots__ = ("_key",)

        def __init__(self, key: Hashable, scope: Scope | None = None) -> None:
            if not is_hashable(key):
                raise InvalidRegistrationError(
                    f"{describe(key)} cannot be a key, because it is not hashable. Name a type, "
                    f"or something hashable in Annotated."
                )
            # The key may contain undefined names: wares reads it from the annotation later. FastAPI
            # does not, so `_show` passes it the key.
            self._need = Need("", None, is_marked=True, is_service=True, scope=scope)
            self._key = key

        def _show(self) -> Any:
            key = None if _is_open(self._key) else self._key
            return _show_to_fastapi(attrs.evolve(self._need, key=key))

        def __repr__(self) -> str:
            return f"Inject[{describe(self._key)}]"

    class Inject(metaclass=_UncalledMarker):
        """Ask for the service of a type: ``database: Inject[Database]``.

        The service is registered under that type, or given to the container. `inject` fills such
        parameters, and so does FastAPI in path operations, in their dependencies and in WebSocket
        endpoints.

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
            """Raise an error for parentheses: type checkers know brackets only."""
            raise InvalidRegistrationError(
                "Inject takes brackets, not parentheses. Write Inject[Type]."
            )


def _find_fastapi() -> type | None:
    """Return FastAPI's class of markers, if FastAPI is loaded."""
    return getattr(sys.modules.get("fastapi.params"), "Depends", None)


def _is_open(key: Any) -> bool:
    """Return whether *key* is only known after the annotation has been evaluated."""
    return isinstance(key, str | ForwardRef | TypeVar) or bool(
        getattr(key, "__parameters__", ())
    )


def _show_to_fastapi(need: Need) -> Any:
    """Return a marker of FastAPI with the same content."""
    # By name, because that adapter imports FastAPI, and need not have been imported itself.
    return importlib.import_module("wares.fastapi").show_marker(need)
