"""FastDepends' public names, in terms of wares, as docs/coming-from-fastdepends.md explains them.

FastDepends' own tests import this module instead of FastDepends.
"""

import contextlib

import wares
from wares import Depends, Registry, ValidationError

__all__ = ["PYDANTIC_V2", "Depends", "Provider", "ValidationError", "inject"]

#: FastDepends' tests run only if this is true.
PYDANTIC_V2 = True


class Provider(Registry):
    """A registry with the methods of FastDepends' provider."""

    def __init__(self):
        super().__init__()
        self._overrides = contextlib.ExitStack()

    scope = Registry.override_factory

    def override(self, original, replacement):
        """Override until `clear`."""
        self._overrides.enter_context(self.override_factory(original, replacement))

    __setitem__ = override

    def clear(self):
        """End what `override` has begun."""
        self._overrides.close()


def inject(
    function=None,
    *,
    cast=True,
    cast_result=True,
    extra_dependencies=(),
    dependency_provider=None,
    serializer_cls=...,
):
    """Do what FastDepends' `inject` does, with the decorators of wares."""
    options = {"registry": dependency_provider, "dependencies": extra_dependencies}
    if cast and serializer_cls is not None:
        decorate = wares.apply_types(cast_result=cast_result, **options)
    else:
        decorate = wares.inject(**options)
    return decorate if function is None else decorate(function)
