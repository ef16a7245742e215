"""Factories that take the container and ask it, as in svcs, made from a wiring.

The class of the container annotates their parameter, so they work with any peer. They are written
as source text, so that each of them is a function as a person would type it.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from benchmarks.wiring import Factory, Wiring, is_generator, key_of, needs_of

#: How svcs and wares ask for several services at once.
GET = "container.get({})"
AGET = "await container.aget({})"


def make_asking(
    wiring: Wiring, container: type, *, get: str = GET, aget: str = AGET, at_once: bool = True
) -> dict[type, Callable[..., Any]]:
    """Write factories that ask a container for the services they need.

    Args:
        wiring: The wiring whose factories to write.
        container: The class of the container, which annotates the parameter of each factory.
        get: The expression that asks for services that are made synchronously.
        aget: The expression that asks for services that are made asynchronously.
        at_once: Whether one expression can ask for several services.

    Returns:
        The factories, by the types that they make.
    """
    written: dict[type, Callable[..., Any]] = {}
    for factory in wiring.factories:
        names = {
            f"Need{number}": need for number, need in enumerate(needs_of(factory).values())
        }
        question = aget if wiring.asynchronous.intersection(names.values()) else get
        if len(names) > 1 and at_once:
            answers = [f"*({question.format(', '.join(names))})"]
        else:
            answers = [question.format(name) for name in names]
        make = _write(factory, answers, names)
        make.__annotations__ = {"container": container, "return": _product_of(factory)}
        written[key_of(factory)] = make
    return written


def _write(factory: Factory, answers: list[str], names: dict[str, type]) -> Callable[..., Any]:
    """Write a factory that calls *factory* with the container's answers."""
    is_async = inspect.isasyncgenfunction(factory) or any("await" in one for one in answers)
    source = f"{'async ' if is_async else ''}def make(container):\n"
    if is_generator(factory):
        _, _, body = inspect.getsource(factory).partition(":\n")
        parameters = ", ".join(needs_of(factory))
        source += f"    {parameters} = {', '.join(answers).removeprefix('*')}\n{body}"
    else:
        source += f"    return factory({', '.join(answers)})\n"
    # The body of a generator is copied, so it needs the names of its module.
    namespace = {**getattr(factory, "__globals__", {}), **names, "factory": factory}
    exec(source, namespace)  # noqa: S102 - the text is made in this file
    made: Callable[..., Any] = namespace["make"]
    return made


def _product_of(factory: Factory) -> Any:
    """Return the return annotation of a factory, as peers read it."""
    key: Any = key_of(factory)
    if inspect.isasyncgenfunction(factory):
        return AsyncIterator[key]
    return Iterator[key] if is_generator(factory) else key
