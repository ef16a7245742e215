"""rodi: scoped classes; it is for sync code and closes nothing."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

import rodi

from benchmarks import candidate
from benchmarks.candidate import Loop, NotOfferedError, Operation
from benchmarks.wiring import Wiring, is_generator


class Candidate(candidate.Candidate):
    """rodi by Roberto Prevato."""

    name = "rodi"
    distributions = ("rodi",)
    statement = "import rodi"

    def register(self, wiring: Wiring) -> rodi.Services:
        """Build the provider of a container's services."""
        if any(map(is_generator, wiring.factories)):
            raise NotOfferedError("it has no generators and closes nothing")
        container = rodi.Container()
        for key, value in wiring.values.items():
            container.add_instance(value, key)
        for factory in wiring.factories:
            container.add_scoped(factory)
        return container.build_provider()

    @contextmanager
    def operation(self, wiring: Wiring) -> Iterator[Operation]:
        """Enter a scope."""
        root, provider = wiring.root, self.register(wiring)

        def operation() -> object:
            with provider.create_scope() as scope:
                return scope.get(root)

        yield operation

    # Factories could ask, but rodi could not close their session.
    asking = operation
    asking_async = candidate.Candidate.operation_async

    @contextmanager
    def cached(self, wiring: Wiring) -> Iterator[Loop]:
        """Ask with `get`."""
        root = wiring.root
        with self.register(wiring).create_scope() as scope:

            def loop(times: Iterable[None]) -> object:
                for _ in times:
                    service = scope.get(root)
                return service

            yield loop

    @contextmanager
    def opener(self) -> Iterator[Callable[[], AbstractContextManager[object]]]:
        """Open scopes."""
        yield rodi.Container().build_provider().create_scope
