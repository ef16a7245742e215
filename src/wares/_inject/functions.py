"""Services that end when a function returns: those of scope ``"function"``."""

from __future__ import annotations

from wares._core.container import Container
from wares._core.makers import Makers


class FunctionContainer(Container):
    """The services that end when a function returns.

    It is a child of the container of the request, event or call that the function is called in.
    What a marker names with another scope is asked of that one.
    """

    def __init__(self, request: Container) -> None:
        if request.is_closed:
            raise request._make_closed_error()
        super().__init__(request.registry)
        self._request = request
        self._become_child_of(request)

    def _use_makers(self, outer: Makers) -> None:
        super()._use_makers(outer)
        self._makers = self._makers.make_for_functions()
