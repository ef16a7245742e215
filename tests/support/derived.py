"""Classes whose bases have annotations with names that only their own module knows."""

from __future__ import annotations

import dataclasses

import attrs

from tests.support.bases import AttrsBaseClass, Base, DataBaseClass
from tests.support.services import Cache


class Derived(Base):
    """Inherits `__init__` from its base."""


@dataclasses.dataclass
class DerivedDataClass(DataBaseClass):
    cache: Cache


@attrs.define
class DerivedAttrsClass(AttrsBaseClass):
    cache: Cache
