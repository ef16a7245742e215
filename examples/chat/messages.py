"""The payloads of events and answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, StringConstraints

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class Login(BaseModel):
    """The data with which a client logs in."""

    name: Name


class Enter(BaseModel):
    """A client wants to enter a room."""

    room: Name


class Say(BaseModel):
    """A client says something in a room."""

    room: Name
    text: Text


class Said(BaseModel):
    """Somebody has said something in a room."""

    room: str
    author: str
    text: str


class Failed(BaseModel):
    """An event could not be handled."""

    error: str
