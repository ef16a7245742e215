"""Interrupts one function at each line of wares in turn, and runs another function meanwhile.

Each line counts once, when it is first reached: a loop is interrupted in its first round only. The
same can be done at each instruction, of which a line has many.
"""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any, Literal

import pytest

import wares

FOLDER = str(Path(wares.__file__).parent)
SECONDS = 10
#: A number for `sys.monitoring` that neither debuggers, nor coverage, nor profilers use.
TOOL = 4
#: How many seconds the second function may run while the first is interrupted. It may have to wait
#: for the first, so the first then goes on.
PATIENCE = 0.004

#: Where a function is interrupted.
Place = Literal["line", "instruction"]


def is_ours(file_name: str) -> bool:
    """Tell whether a file, or the name of generated code, belongs to wares."""
    return file_name.startswith(FOLDER) or "of wares" in file_name


class Halt:
    """Interrupts a thread at the *number*-th line or instruction of wares."""

    def __init__(self, number: int, place: Place) -> None:
        self.number = number
        self.place = place
        self.seen: set[tuple[CodeType, int]] = set()
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def note(self, code: CodeType, position: int) -> None:
        """Count a line or instruction of wares, and wait if it is the *number*-th."""
        if (code, position) not in self.seen:
            self.seen.add((code, position))
            if len(self.seen) == self.number:
                self.reached.set()
                self.go_on.wait(SECONDS)

    def run(self, function: Callable[[], Any], outcomes: dict[str, Any]) -> None:
        """Run *function*, and interrupt it."""
        with watch(self.note, self.place):
            try:
                outcomes["first"] = function()
            except BaseException as error:  # noqa: BLE001  # an outcome like any other
                outcomes["first"] = error
        self.reached.set()


@contextlib.contextmanager
def watch(note: Callable[[CodeType, int], None], place: Place) -> Iterator[None]:
    """Call *note* with each line or instruction of wares that this thread reaches."""
    if sys.version_info >= (3, 12):
        # Unlike `sys.settrace`, it does not get in the way of coverage.
        with watch_by_monitoring(note, place):
            yield
        return

    measure = sys.gettrace()

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if not is_ours(frame.f_code.co_filename):
            return None
        if measure is not None:
            # When coverage sees a call, it replaces the trace function.
            measure(frame, event, argument)
            sys.settrace(trace)
        frame.f_trace_opcodes = place == "instruction"
        if event == "line" and place == "line":
            note(frame.f_code, frame.f_lineno)
        elif event == "opcode":
            note(frame.f_code, frame.f_lasti)
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(measure)


@contextlib.contextmanager
def watch_by_monitoring(note: Callable[[CodeType, int], None], place: Place) -> Iterator[None]:
    """Watch with `sys.monitoring`, which sees all threads."""
    thread = threading.get_ident()
    monitoring = sys.monitoring
    event = monitoring.events.LINE if place == "line" else monitoring.events.INSTRUCTION

    def on_event(code: CodeType, position: int) -> Any:
        if not is_ours(code.co_filename):
            return monitoring.DISABLE
        if threading.get_ident() == thread:
            note(code, position)
        return None

    monitoring.use_tool_id(TOOL, "interleaving")
    monitoring.register_callback(TOOL, event, on_event)
    monitoring.set_events(TOOL, event)
    try:
        yield
    finally:
        monitoring.set_events(TOOL, 0)
        monitoring.free_tool_id(TOOL)


def run_at(
    number: int, place: Place, first: Callable[[], Any], second: Callable[[], Any]
) -> tuple[Any, Any, bool]:
    """Run *second* when *first* has reached its *number*-th place, or its end.

    Returns:
        The result or exception of each, and whether *first* has so many places.
    """
    outcomes: dict[str, Any] = {}
    halt = Halt(number, place)

    def run_second():
        try:
            outcomes["second"] = second()
        except BaseException as error:  # noqa: BLE001  # an outcome like any other
            outcomes["second"] = error

    threads = [
        threading.Thread(target=halt.run, args=(first, outcomes), daemon=True),
        threading.Thread(target=run_second, daemon=True),
    ]
    threads[0].start()
    halt.reached.wait(SECONDS)
    was_reached = len(halt.seen) >= number
    threads[1].start()
    threads[1].join(PATIENCE)
    halt.go_on.set()
    for thread in threads:
        thread.join(SECONDS)
    if any(thread.is_alive() for thread in threads):
        pytest.fail(f"a deadlock, with the first one interrupted at its {place} {number}")
    return outcomes["first"], outcomes["second"], was_reached


def explore(
    prepare: Callable[[], tuple[Callable[[], Any], Callable[[], Any], Callable[..., None]]],
    place: Place = "line",
) -> int:
    """Run a scenario once for each place, and return at how many places it was interrupted."""
    number = 0
    while True:
        number += 1
        first, second, check = prepare()
        *outcomes, was_reached = run_at(number, place, first, second)
        try:
            check(*outcomes)
        except BaseException as error:
            error.add_note(f"interrupted at {place} {number}; outcomes: {outcomes!r}")
            raise
        if not was_reached:
            return number - 1
