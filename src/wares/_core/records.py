"""What a container keeps beside its services: what to clean up, and whether a plan runs.

This module knows the one entry, among what a container has made, that is no service. It must
not know how services are made, nor what a plan is: that one may run, and may hold back what it
has made until somebody asks, is all that it knows of them.

There is such an entry as soon as something was made. So one `dict.setdefault` tells a plan
whether it is the first to make anything, and shows it to others if so; that is atomic, with and
without a global interpreter lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from wares._core.cleanups import Cleanups
from wares._core.lock import LOCK
from wares.exceptions import ContainerClosedError

if TYPE_CHECKING:
    from wares._core.claims import Claim


class _PrivateKey:
    """The type of keys that are nobody else's."""

    __slots__ = ()


#: Under this key the record stands among what a container has made.
RECORD: Hashable = _PrivateKey()


class Record:
    """What a container keeps beside its services.

    A service that only keeps its arguments is there in no time, and is seldom asked for by
    anybody but the plan. So it is held back, in an attribute of the plan's claim, until somebody
    looks.

    Attributes:
        cleanups: What is to be cleaned up, if anything is.
        state: The plan that runs, `None` where that is the one that this is; or, if none does,
            whether others than plans may have added cleanups.
        held_back: The attributes in which services are held back, and their keys.
    """

    __slots__ = ("cleanups", "state")

    cleanups: Cleanups | None
    state: Claim | bool | None
    held_back: ClassVar[Mapping[str, Hashable]] = {}

    @property
    def is_idle(self) -> bool:
        """Whether no plan runs."""
        state = self.state
        return state is True or state is False

    def holds(self, key: object) -> bool:
        """Tell whether a service is made, but held back."""
        return any(
            key == other and hasattr(self, name) for name, other in self.held_back.items()
        )

    def publish(self, made: dict[Hashable, Any]) -> None:
        """Put among what is *made* what was held back. Called with the lock held."""
        for name, key in self.held_back.items():
            if hasattr(self, name):
                made.setdefault(key, getattr(self, name))
                delattr(self, name)


def new_record(cleanups: Cleanups | None = None) -> Record:
    """Make the record of a container where no plan was first."""
    # Not by an `__init__`: a plan makes records of its own, one for each request.
    record = Record()
    record.cleanups = cleanups
    record.state = True
    return record


#: Shared by all containers that have made something, but have nothing to clean up.
NOTHING_TO_CLEAN = new_record()


class _Closed(dict[Hashable, Any]):
    """What a closed container has made: nothing, for good."""

    __slots__ = ()

    def __setitem__(
        self, key: Hashable, service: object
    ) -> None:  # pragma: no cover  # nobody does
        raise RuntimeError("a closed container keeps nothing; this is a defect of wares")

    def setdefault(self, _key: Hashable, _default: Any = None) -> Any:
        """Refuse: whoever is about to keep something has not looked, to save time."""
        raise ContainerClosedError


#: What a closed container has made. All closed containers share it.
CLOSED: dict[Hashable, Any] = _Closed()

#: Lists for the next ones who need some: to make and to drop one that watches over itself takes
#: longer than to enter and to leave a generator. Not more than so many; the oldest drop out.
_spare: deque[Cleanups] = deque(maxlen=256)

#: Take a list, or raise IndexError where there is none.
take_spare = _spare.pop

#: Give one that was emptied, that is to be called only, and that nobody else knows.
give_spare = _spare.append


def begin_list() -> Cleanups:
    """Give an empty list of cleanups, a spare one if there is one."""
    try:
        return take_spare()
    except IndexError:
        return Cleanups()


def own_record(made: dict[Hashable, Any]) -> Record:
    """Give the record of what is *made*, begun now if need be. Called with the lock held."""
    record: Record = made.setdefault(RECORD, NOTHING_TO_CLEAN)
    if record is NOTHING_TO_CLEAN:
        record = made[RECORD] = new_record()
    return record


def find_claim(made: dict[Hashable, Any]) -> Claim | None:
    """Find the plan that runs for whoever has *made* this, the innermost one."""
    record: Any = made.get(RECORD)
    if record is None:
        return None
    state = record.state
    return None if state is True or state is False else state or record


def publish_if_any(made: dict[Hashable, Any]) -> None:
    """Put among what is *made* what a plan holds back, if there was one."""
    if RECORD in made:
        with LOCK:
            publish(made)


def publish(made: dict[Hashable, Any]) -> None:
    """Put among what is *made* what a plan holds back. Called with the lock held."""
    record: Record | None = made.get(RECORD)
    if record is not None and record.held_back:
        record.publish(made)
