"""The only lock.

It is held for a few dictionary operations, never while a factory, a cleanup or other code of the
user runs. A thread that forks holds the lock meanwhile, so it is free in the child, too.
"""

from __future__ import annotations

import os
from _thread import RLock

#: Re-entrant, because the garbage collector may run any code at any time.
LOCK = RLock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release
    )
