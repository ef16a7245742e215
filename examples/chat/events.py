"""The handlers of Socket.IO events."""

from __future__ import annotations

import socketio
from pydantic import ValidationError
from socketio.exceptions import ConnectionRefusedError as Refusal

from wares import Inject
from wares.socketio import Auth, RouterSIO, SocketID

from .history import History
from .messages import Enter, Failed, Login, Said, Say
from .visitors import Visitor

router = RouterSIO()
router.emits("said", Said)


class NotInRoomError(Exception):
    """A visitor speaks in a room that it has not entered."""


@router.exception_handler(NotInRoomError)
async def explain(error: NotInRoomError) -> Failed:
    """Answer a client that has not entered the room."""
    return Failed(error=f"Enter the room {error} first.")


@router.event
async def connect(auth: Auth, visitor: Inject[Visitor]) -> None:
    """Accept a client that has a name."""
    try:
        visitor.name = Login.model_validate(auth).name
    except ValidationError:
        raise Refusal("Tell us your name.") from None


@router.event
async def enter(
    wanted: Enter,
    sid: SocketID,
    server: socketio.AsyncServer,
    visitor: Inject[Visitor],
    history: Inject[History],
) -> list[Said]:
    """Enter a room; answer with its latest messages."""
    await server.enter_room(sid, wanted.room)
    visitor.rooms.add(wanted.room)
    return await history.list_latest(wanted.room)


@router.event
async def say(
    say: Say,
    server: socketio.AsyncServer,
    visitor: Inject[Visitor],
    history: Inject[History],
) -> Said:
    """Say something to everybody in a room."""
    if say.room not in visitor.rooms:
        raise NotInRoomError(say.room)
    said = Said(room=say.room, author=visitor.name, text=say.text)
    await history.add(said)
    await server.emit("said", said.model_dump(), room=said.room)
    return said
