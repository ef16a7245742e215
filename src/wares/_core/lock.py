"""The one lock.

It guards what is being made and what is in force. It is held for a few dictionary operations,
never while a factory, a cleanup or anything else of the user's runs. This module must not know
more.
"""

from __future__ import annotations

from _thread import RLock

#: Re-entrant, because the garbage collector may run anything at any time.
LOCK = RLock()
