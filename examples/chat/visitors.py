"""The visitors: one for each connection, counted in each process."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from wares.socketio import SocketID


@attrs.define
class Counter:
    """How many visitors have come to this process, and how many of them have gone."""

    came: int = 0
    went: int = 0

    @property
    def here(self) -> int:
        """How many visitors are here now."""
        return self.came - self.went


@attrs.define
class Visitor:
    """A connected client.

    Attributes:
        sid: The client's id.
        name: Its name.
        rooms: The rooms that it has entered.
    """

    sid: str
    name: str = ""
    rooms: set[str] = attrs.field(factory=set)


def welcome(sid: SocketID, counter: Counter) -> Iterator[Visitor]:
    """Make the visitor of a connection, and count it until the connection ends."""
    counter.came += 1
    try:
        yield Visitor(sid)
    finally:
        counter.went += 1
