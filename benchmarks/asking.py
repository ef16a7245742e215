"""Factories that take the container and ask it, as svcs has them, made from a wiring.

Knows no peer: the container is whatever class annotates the parameter. The functions are
written out as source text, so that each of them is what a person would have typed.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from benchmarks.wiring import Factory, Wiring, is_generator, key_of, needs_of

#: svcs' two questions, each for several services at once; wares has the same.
GET = "container.get({})"
AGET = "await container.aget({})"


def make_asking(
    wiring: Wiring, container: type, *, get: str = GET, aget: str = AGET, at_once: bool = True
) -> dict[type, Callable[..., Any]]:
    """Write factories that get what they need from a container.

    Args:
        wiring: Whose factories are meant.
        container: The class of the container, which annotates the parameter of each.
        get: How the container is asked for what is made synchronously.
        aget: How the container is asked for what is made asynchronously.
        at_once: Whether several services can be asked for by one question.

    Returns:
        The factories, by what they make.
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
    """Write a factory whose arguments are the container's answers."""
    is_async = inspect.isasyncgenfunction(factory) or any("await" in one for one in answers)
    source = f"{'async ' if is_async else ''}def make(container):\n"
    if is_generator(factory):
        _, _, body = inspect.getsource(factory).partition(":\n")
        parameters = ", ".join(needs_of(factory))
        source += f"    {parameters} = {', '.join(answers).removeprefix('*')}\n{body}"
    else:
        source += f"    return factory({', '.join(answers)})\n"
    # A generator's body is copied, so it needs the names of its module.
    namespace = {**getattr(factory, "__globals__", {}), **names, "factory": factory}
    exec(source, namespace)  # noqa: S102 - the text is made in this file
    made: Callable[..., Any] = namespace["make"]
    return made


def _product_of(factory: Factory) -> Any:
    """Say what a factory gives, as peers read it from the annotation."""
    key: Any = key_of(factory)
    if inspect.isasyncgenfunction(factory):
        return AsyncIterator[key]
    return Iterator[key] if is_generator(factory) else key
