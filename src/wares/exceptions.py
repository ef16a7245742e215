"""The errors of wares. Each message says what is wrong, why, and what to do.

The facts are also attributes of the error. A message never contains a service, because a service
may hold a secret.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, get_origin

from wares._core.keys import (
    describe,
    describe_fully,
    describe_path,
    is_instance,
    is_plain,
)

_PAGE = "https://wares.readthedocs.io/en/stable/errors.html"


class WaresError(Exception):
    """The base class of all errors of wares.

    A note, which tracebacks show below the message, links to the page that explains the error.
    """

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        section = "" if type(self) is WaresError else f"#{type(self).__name__.lower()}"
        self.add_note(f"More about it: {_PAGE}{section}")

    def __repr__(self) -> str:
        # Without the arguments: they may be keys whose `repr` fails.
        return f"{type(self).__qualname__}({str(self)!r})"


class InvalidRegistrationError(WaresError, TypeError):
    """A registration cannot work, whatever happens later."""


class InvalidLifetimeError(WaresError, ValueError):
    """There is no such lifetime, or it is not allowed here."""


class InvalidOptionError(WaresError, ValueError):
    """An option has an invalid value."""


class UnresolvableParameterError(WaresError, TypeError):
    """Nothing can fill a parameter of a factory.

    Attributes:
        parameter: The parameter's name.
        factory: The name of the factory, and where it is defined.
    """

    def __init__(self, parameter: str, factory: str, reason: str) -> None:
        self.parameter = parameter
        self.factory = factory
        self.reason = reason
        super().__init__(parameter, factory, reason)

    def __str__(self) -> str:
        return f"Cannot fill the parameter {self.parameter!r} of {self.factory}: {self.reason}"


class ServiceNotFoundError(WaresError, LookupError):
    """Nothing is registered under a key that was asked for.

    Attributes:
        key: The key that was asked for.
        path: The keys that led to it, in the order in which they were asked for; the last one is
            *key*.
        steps: One line for each step of the path, with where its factory is defined.
        nearest: Names of registered keys that look alike.
        is_expected: Whether the key was announced by `Registry.expect`, but not given.
        asked: A sentence on the registry that was asked, if `inject` was given a registry.
    """

    def __init__(
        self,
        key: Hashable,
        *,
        path: Sequence[Hashable] = (),
        steps: Sequence[str] = (),
        nearest: Sequence[str] = (),
        is_expected: bool = False,
        asked: str = "",
    ) -> None:
        self.key = key
        self.path = tuple(path) or (key,)
        self.steps = tuple(steps)
        self.nearest = tuple(nearest)
        self.is_expected = is_expected
        self.asked = asked
        super().__init__(key)

    def __str__(self) -> str:
        name = describe(self.key)
        if any(other.endswith(f".{name}") for other in self.nearest):
            name = describe_fully(self.key)
        if self.is_expected:
            lines = [
                f"{name} is expected to be given to each container, and this one was given none."
            ]
        else:
            lines = [f"Nothing is registered for {name}."]
        if len(self.steps) > 1:
            lines.append("It was needed on this path:")
            lines.extend(f"  {step}" for step in self.steps)
        if self.asked:
            lines.append(self.asked)
        if self.nearest:
            lines.append(f"Registered under similar names: {', '.join(self.nearest)}.")
        if self.is_expected:
            lines.append(
                f"Give it when the container is opened: registry.container({{{name}: ...}}), "
                f"or ask for it only where the framework gives it."
            )
        else:
            lines.append(self._advise(name))
        return "\n".join(lines)

    def _advise(self, name: str) -> str:
        asker = self.path[-2] if len(self.path) > 1 else None
        if _reads_settings(asker):
            asker_name = describe(asker)
            return (
                f"To fix it, register a function: {asker_name} reads its fields itself, and its "
                f"parameters are not services: registry.register_factory({asker_name}, "
                f"lambda: {asker_name}())"
            )
        if asker is not None and is_plain(self.key):
            return (
                f"To fix it, give the parameter a default and no marker. Or do not ask for plain "
                f'{name}: register a class of settings, or Annotated[{name}, "name"], and ask for '
                f"that."
            )
        if isinstance(self.key, type) and self.key.__module__.partition(".")[0] == "svcs":
            return (
                f"This is a class of svcs. To fix it, annotate the parameter with wares.{name}."
            )
        generic = describe(get_origin(self.key))
        if generic in self.nearest:
            return (
                f"To fix it, register it: registry.register_factory({name}, ...); or register it "
                f"for all types: registry.register_generic({generic}, ...)"
            )
        kind = type(self.key)
        if is_instance(self.key):
            return (
                f"You have asked for an instance of {describe(kind)}. To fix it, ask for the "
                f"class; or register this object as a key."
            )
        if describe_fully(self.key) in self.nearest:
            return (
                "Another class of the same name is registered: perhaps its module was reloaded, or "
                "is run as a program and imported, too. Import the class from one place."
            )
        return f"To fix it, register it: registry.register_factory({name}, ...)"


def _reads_settings(asker: object) -> bool:
    """Return whether *asker* is a settings class of pydantic."""
    bases = asker.__mro__ if isinstance(asker, type) else ()
    return any(base.__module__.partition(".")[0] == "pydantic_settings" for base in bases)


class CircularDependencyError(WaresError, RuntimeError):
    """Services need each other in a circle.

    Attributes:
        path: The keys of the circle; the first one is repeated at the end.
        steps: One line for each step of the path, with where its factory is defined.
    """

    def __init__(self, path: Sequence[Hashable], *, steps: Sequence[str] = ()) -> None:
        self.path = tuple(path)
        self.steps = tuple(steps)
        super().__init__(self.path)

    def __str__(self) -> str:
        lines = [f"Services need each other in a circle: {describe_path(self.path)}."]
        lines.extend(f"  {step}" for step in self.steps)
        lines.append(
            "Break it: let one of them take what it needs later, as an argument of a method, "
            "or move what both need into a third service."
        )
        return "\n".join(lines)


class LifetimeError(WaresError, TypeError):
    """A service would outlive one that it needs.

    Attributes:
        key: The service that lives longer.
        lifetime: How long it lives.
        needed_key: The service that it needs.
        needed_lifetime: How long that one lives.
    """

    def __init__(
        self,
        key: Hashable,
        lifetime: str,
        needed_key: Hashable,
        needed_lifetime: str,
        *,
        steps: Sequence[str] = (),
    ) -> None:
        self.key = key
        self.lifetime = lifetime
        self.needed_key = needed_key
        self.needed_lifetime = needed_lifetime
        self.steps = tuple(steps)
        super().__init__(key, lifetime, needed_key, needed_lifetime)

    def __str__(self) -> str:
        needs = f"{describe(self.key)} ({self.lifetime}) needs {describe(self.needed_key)}"
        lines = [f"{needs} ({self.needed_lifetime}), which ends before it."]
        lines.extend(f"  {step}" for step in self.steps)
        if self.needed_lifetime == "given":
            lines.append(
                f"{describe(self.needed_key)} is given to each container: register "
                f"{describe(self.key)} with lifetime='scoped'."
            )
            return "\n".join(lines)
        if self.needed_lifetime == "function":
            lines.append(
                f"Leave out scope='function' for {describe(self.needed_key)}, or write "
                f"Depends(..., scope='function') for {describe(self.key)}, too, up to the "
                f"function that is called."
            )
            return "\n".join(lines)
        lines.append(
            f"Register {describe(self.needed_key)} with lifetime={self.lifetime!r}, "
            f"or {describe(self.key)} with lifetime={self.needed_lifetime!r}."
        )
        return "\n".join(lines)


class AsyncServiceError(WaresError, TypeError):
    """A synchronous `get` met a factory that must be awaited.

    Attributes:
        key: The service that must be awaited.
        path: The keys that led to it, in the order in which they were asked for; the last one is
            *key*.
        asker: The injected function that asked for it, if there is one.
    """

    def __init__(
        self,
        key: Hashable,
        path: Sequence[Hashable],
        reason: str,
        *,
        asker: Hashable | None = None,
    ) -> None:
        self.key = key
        self.path = tuple(path)
        self.reason = reason
        self.asker = asker
        super().__init__(key, self.path, reason)

    def __str__(self) -> str:
        first = describe(self.path[0])
        lines = [f"Cannot get {describe(self.key)} synchronously: {self.reason}."]
        if len(self.path) > 1:
            lines.append(f"It was needed on this path: {describe_path(self.path)}.")
        if self.asker is None:
            lines.append(f"Ask with: await container.aget({first})")
        elif self.asker == self.key:
            lines.append(f"Call it with: await container.acall({first}, ...)")
        else:
            asker, name = describe(self.asker), describe(self.key)
            lines.append(f"Write `async def {asker}`, or make {name} synchronous.")
        return "\n".join(lines)


class FactoryError(WaresError, RuntimeError):
    """A factory did not make one service: it yielded never or twice, or returned `None` by mistake.

    Attributes:
        key: The service that the factory makes.
    """

    def __init__(
        self,
        key: Hashable,
        factory: str,
        reason: str,
        advice: str = "A generator factory yields its service exactly once.",
    ) -> None:
        self.key = key
        self.factory = factory
        self.reason = reason
        self.advice = advice
        super().__init__(key, factory, reason, advice)

    def __str__(self) -> str:
        return (
            f"The factory of {describe(self.key)}, {self.factory}, {self.reason}. {self.advice}"
        )


class ValidationError(WaresError, ValueError):
    """Arguments or a result do not fit the annotations.

    Attributes:
        function: The function, and where it is defined.
        errors: The errors that pydantic found, as its ``errors()`` lists them. The location of each
            starts with the name of the parameter, with the alias of its ``Field``, or with
            ``"return"``.
    """

    def __init__(self, function: str, errors: Sequence[dict[str, Any]]) -> None:
        self.function = function
        self.errors = list(errors)
        super().__init__(function, self.errors)

    def __str__(self) -> str:
        # Without the input, which pydantic would print and which may be a secret.
        lines = [f"{self.function} received invalid values:"]
        lines += [
            f"  {'.'.join(map(str, error['loc']))}: {error['msg']}" for error in self.errors
        ]
        return "\n".join(lines)


class MissingExtraError(WaresError, ImportError):
    """A feature needs a package that is installed with an extra of wares.

    Attributes:
        extra: The extra.
    """

    def __init__(self, feature: str, extra: str) -> None:
        self.feature = feature
        self.extra = extra
        super().__init__(feature, extra)

    def __str__(self) -> str:
        return (
            f"{self.feature} needs {self.extra}. Install it: pip install 'wares[{self.extra}]'"
        )


class ContainerClosedError(WaresError, RuntimeError):
    """A container was asked for a service after it had closed."""

    def __str__(self) -> str:
        return (
            "The container is closed: its services have been cleaned up. Ask within the request, "
            "event or `with` block that opened it; work that goes on afterwards opens its own: "
            "with registry.container() as container: ..."
        )


class RegistryClosedError(WaresError, RuntimeError):
    """A registry was used after it had closed."""

    def __str__(self) -> str:
        return (
            str(self.args[0])
            if self.args
            else (
                "The registry is closed: its `with` block, or the application that it belongs "
                "to, has ended. Make a new Registry, or use it before it is closed."
            )
        )


class NoContainerError(WaresError, RuntimeError):
    """There is no current container, but one is needed."""

    def __str__(self) -> str:
        return (
            str(self.args[0])
            if self.args
            else (
                "There is no current container. Install the adapter of your framework, which opens "
                "one for each request, or open one: with registry.container() as container, "
                "container.activate(): ..."
            )
        )


class NoRegistryError(WaresError, LookupError, RuntimeError):
    """There is no registry, but one is needed."""

    def __str__(self) -> str:
        return (
            str(self.args[0])
            if self.args
            else (
                "There is no registry: the application was started without its lifespan. "
                "Set the adapter up before the first request."
            )
        )


class PendingAsyncCleanupError(WaresError, RuntimeError):
    """A synchronous close met cleanups that must be awaited; nothing was touched.

    Attributes:
        keys: The services whose cleanup must be awaited.
        owner: What cannot be closed: ``"container"`` or ``"registry"``.
    """

    def __init__(self, keys: Sequence[Hashable], owner: str) -> None:
        self.keys = tuple(keys)
        self.owner = owner
        super().__init__(self.keys, owner)

    def __str__(self) -> str:
        names = ", ".join(map(describe, self.keys))
        return (
            f"Cannot close the {self.owner} synchronously: the cleanup of {names} must be awaited. "
            f"Nothing has been closed yet. Open the {self.owner} with `async with`, or close it "
            f"with: await {self.owner}.aclose()"
        )


class InvalidRegistryError(WaresError, ExceptionGroup[Exception]):
    """Every problem that `Registry.validate` found, in one group."""

    def derive(self, exceptions: Sequence[Exception]) -> InvalidRegistryError:  # type: ignore[override]  # always of this class
        """Make the same group with other exceptions."""
        return InvalidRegistryError(self.message, exceptions)

    def __str__(self) -> str:
        problems = "\n".join(
            f"{number}. {exception}" for number, exception in enumerate(self.exceptions, 1)
        )
        return f"{self.message}\n{problems}"


class ResponseFailed(WaresError, RuntimeError):  # noqa: N818  # named after what happened
    """A response shows that a unit of work failed, and wares could not see the exception.

    This error is never raised. Cleanups see it instead of the exception that a framework answered.

    Attributes:
        status: The HTTP status of the response; `None` if the response only says that it is an
            error.
    """

    def __init__(self, status: int | None) -> None:
        self.status = status
        super().__init__(status)

    def __str__(self) -> str:
        what = "an error" if self.status is None else f"a response of status {self.status}"
        return f"The work was answered by {what}."


def raise_problems(beginning: str, problems: Sequence[Exception]) -> None:
    """Raise an `InvalidRegistryError` with all *problems*, if there are any.

    Args:
        beginning: The beginning of its message, before the number of problems.
        problems: The problems.
    """
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise InvalidRegistryError(f"{beginning} {count}", problems)
