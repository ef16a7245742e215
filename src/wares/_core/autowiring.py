"""`autowire`: fill also the parameters of a factory that have defaults."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast, overload

from wares._core.callables import Autowired
from wares._core.container import Container
from wares._core.signatures import check_parameters
from wares.exceptions import InvalidRegistrationError

T = TypeVar("T")


def autowire(factory: Callable[..., T]) -> Callable[[Container], T]:
    """Fill also the parameters of *factory* that have defaults, if their annotation is registered.

    Without `autowire`, only required parameters are filled. The factory may be asynchronous.

    >>> from wares import Registry
    >>> def greet(name: str = "world") -> bytes:
    ...     return f"hello {name}".encode()
    >>> registry = Registry()
    >>> registry.register_value(str, "wares")
    >>> registry.register_factory(bytes, autowire(greet))
    >>> with registry.container() as container:
    ...     container.get(bytes)
    b'hello wares'

    Args:
        factory: Any callable.

    Returns:
        A factory to register. Called with a container, it calls *factory* and returns the result as
        it is.

    Raises:
        InvalidRegistrationError: *factory* is not callable.
        UnresolvableParameterError: A required parameter has no annotation.
    """
    return Autowired(_checked(factory))


@overload
def aautowire(factory: Callable[..., Awaitable[T]]) -> Callable[[Container], Awaitable[T]]: ...


@overload
def aautowire(factory: Callable[..., T]) -> Callable[[Container], Awaitable[T]]: ...


def aautowire(factory: Callable[..., Any]) -> Callable[[Container], Awaitable[Any]]:
    """Do what `autowire` does, but return a factory that must be awaited when it is called.

    Args:
        factory: Any callable, asynchronous or not.

    Returns:
        A factory to register.

    Raises:
        InvalidRegistrationError: *factory* is not callable.
        UnresolvableParameterError: A required parameter has no annotation.
    """
    return Autowired(_checked(factory), is_awaited=True)


def _checked(factory: Callable[..., T]) -> Callable[..., T]:
    if not callable(cast("object", factory)):
        raise InvalidRegistrationError(
            f"Cannot autowire an instance of {type(factory).__qualname__}: it is not callable."
        )
    check_parameters(factory)
    return factory
