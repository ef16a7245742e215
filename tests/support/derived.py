"""Classes whose bases were annotated in another module, with names that this one has not got."""

from __future__ import annotations

import dataclasses

import attrs

from tests.support.bases import AttrsBaseClass, Base, DataBaseClass
from tests.support.services import Cache


class Derived(Base):
    """Takes `__init__` from its base."""


@dataclasses.dataclass
class DerivedDataClass(DataBaseClass):
    cache: Cache


@attrs.define
class DerivedAttrsClass(AttrsBaseClass):
    cache: Cache
