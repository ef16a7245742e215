"""Bases whose annotations only this module can read."""

from __future__ import annotations

import dataclasses

import attrs

from tests.support.services import Database as Hidden


class Base:
    def __init__(self, database: Hidden) -> None:
        self.database = database


@dataclasses.dataclass
class DataBaseClass:
    database: Hidden


@attrs.define
class AttrsBaseClass:
    database: Hidden
