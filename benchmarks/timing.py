"""Timing of loops, interleaved: in every round, each loop runs once, in a rotating order.

Noise (other programs on the machine, a processor that slows down) affects all loops of a round
alike, and affects the minimum of many rounds least.
"""

import gc
import time
from collections.abc import Callable, Mapping
from itertools import repeat

from benchmarks.candidate import AsyncLoop

Clock = Callable[[], int]

ROUND_NANOSECONDS = 2_000_000
WARM_NANOSECONDS = 200_000_000
WARM_TIMES = 100
BUDGET_NANOSECONDS = 12_000_000_000
LEAST_ROUNDS = 3


async def time_interleaved(
    loops: Mapping[str, AsyncLoop],
    *,
    rounds: int,
    clock: Clock = time.process_time_ns,
) -> dict[str, list[float]]:
    """Time loops in turn, with the garbage collector on.

    Args:
        loops: The loops, by name.
        rounds: How often each loop is timed; a loop that takes very long is timed less often.
        clock: Counts nanoseconds.

    Returns:
        The nanoseconds of one pass of the loop, for each round, by name.
    """
    times = {name: await _calibrate(loop, clock) for name, loop in loops.items()}
    samples: dict[str, list[float]] = {name: [] for name in loops}
    spent = dict.fromkeys(loops, 0)
    names = list(loops)
    # Objects that exist before the rounds are no garbage, so the collector need not look at them.
    gc.collect()
    gc.freeze()
    try:
        for number in range(rounds):
            turn = number % len(names) if names else 0
            gc.collect()
            for name in names[turn:] + names[:turn]:
                if spent[name] > BUDGET_NANOSECONDS and len(samples[name]) >= LEAST_ROUNDS:
                    continue
                elapsed = await _time(loops[name], times[name], clock)
                spent[name] += elapsed
                samples[name].append(elapsed / times[name])
    finally:
        gc.unfreeze()
    return samples


async def _calibrate(loop: AsyncLoop, clock: Clock) -> int:
    """Find out how many passes fill a round, after caches have been filled."""
    first = await _time(loop, 1, clock)
    await _time(loop, min(WARM_TIMES, WARM_NANOSECONDS // max(1, first)), clock)
    times = 1
    while True:
        elapsed = await _time(loop, times, clock)
        if elapsed >= ROUND_NANOSECONDS / 4:
            return max(1, round(times * ROUND_NANOSECONDS / elapsed))
        times *= 4


async def _time(loop: AsyncLoop, times: int, clock: Clock) -> int:
    repeated = repeat(None, times)
    start = clock()
    await loop(repeated)
    return clock() - start
