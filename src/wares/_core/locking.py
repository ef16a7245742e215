"""The only lock.

It is held for a few dictionary operations, never while a factory, a cleanup or anything else of
the user's runs. The thread that forks holds it meanwhile, so it is free in the child, too.
"""

from __future__ import annotations

import os
from _thread import RLock

#: Re-entrant, because the garbage collector may run anything at any time.
LOCK = RLock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release
    )
