"""Reasons to skip tests on a patch release that a distribution still ships: 3.11.2 in Debian."""

import sys

import pytest

#: Whether `asyncio.timeout` raises `TimeoutError` even in a task that was cancelled before.
TIMES_OUT_ONCE_CANCELLED = sys.version_info >= (3, 11, 7)

needs_timeouts_once_cancelled = pytest.mark.skipif(
    not TIMES_OUT_ONCE_CANCELLED,
    reason="on this Python asyncio.timeout gives no TimeoutError in a task once cancelled",
)

needs_signatures_of_mocks = pytest.mark.skipif(
    sys.version_info < (3, 11, 7),
    reason="on this Python inspect.signature cannot read an AsyncMock",
)
