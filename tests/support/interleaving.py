"""Interrupts one function at each line of wares in turn, and runs another function meanwhile.

Each line counts once, when it is first reached: a loop is interrupted in its first round only. The
same can be done at each instruction, of which a line has many; and the other function can be
interrupted, too, at each of its lines, so that the first one ends before it.
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
SECONDS = 60
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
    """Runs a function, and interrupts it at its *number*-th line or instruction of wares."""

    def __init__(self, function: Callable[[], Any], number: int, place: Place) -> None:
        self.function = function
        self.number = number
        self.place = place
        self.outcome: Any = None
        #: The places that were reached, and the code of each. Code objects are slow to hash.
        self.seen: dict[tuple[int, int], CodeType] = {}
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def note(self, code: CodeType, position: int) -> None:
        """Count a line or instruction of wares, and wait if it is the *number*-th."""
        if (id(code), position) not in self.seen:
            self.seen[id(code), position] = code
            if len(self.seen) == self.number:
                self.reached.set()
                self.go_on.wait(SECONDS)

    def run(self) -> None:
        """Run the function, and interrupt it, if it has a number."""
        with watch(self.note, self.place) if self.number else contextlib.nullcontext():
            try:
                self.outcome = self.function()
            except BaseException as error:  # noqa: BLE001  # an outcome like any other
                self.outcome = error
        self.reached.set()

    @property
    def was_reached(self) -> bool:
        """Whether the function has so many lines or instructions."""
        return 0 < self.number <= len(self.seen)


#: Called with each line or instruction of wares that a thread reaches, by the thread.
_notes: dict[int, Callable[[CodeType, int], None]] = {}


@contextlib.contextmanager
def watch(note: Callable[[CodeType, int], None], place: Place) -> Iterator[None]:
    """Call *note* with each line or instruction of wares that this thread reaches."""
    if sys.version_info >= (3, 12):
        # Unlike `sys.settrace`, `sys.monitoring` does not get in the way of coverage.
        _notes[threading.get_ident()] = note
        yield
        del _notes[threading.get_ident()]
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
    yield
    sys.settrace(measure)


@contextlib.contextmanager
def monitored(place: Place) -> Iterator[None]:
    """Let threads be watched while the block lasts."""
    if sys.version_info < (3, 12):
        yield
        return

    monitoring = sys.monitoring
    event = monitoring.events.LINE if place == "line" else monitoring.events.INSTRUCTION

    def on_event(code: CodeType, position: int) -> Any:
        if not is_ours(code.co_filename):
            return monitoring.DISABLE
        note = _notes.get(threading.get_ident())
        if note is not None:
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


def run_interrupted(first: Halt, second: Halt) -> None:
    """Run *second* when *first* is interrupted or ends, and *first* when *second* is."""
    with monitored(first.place):
        first.thread.start()
        first.reached.wait(SECONDS)
        second.thread.start()
        second.reached.wait(PATIENCE)
        first.go_on.set()
        if second.number:
            first.thread.join(PATIENCE)
        second.go_on.set()
        for halt in (first, second):
            halt.thread.join(SECONDS)
    if first.thread.is_alive() or second.thread.is_alive():
        pytest.fail("a deadlock")


Scenario = tuple[Callable[[], Any], Callable[[], Any], Callable[..., None]]


def run_at(
    prepare: Callable[[], Scenario], place: Place, number: int, second_number: int = 0
) -> tuple[Halt, Halt]:
    """Run a scenario, interrupted at a place of the first function, and perhaps of the second."""
    *functions, check = prepare()
    first = Halt(functions[0], number, place)
    second = Halt(functions[1], second_number, place)
    try:
        run_interrupted(first, second)
        check(first.outcome, second.outcome)
    except BaseException as error:
        places = f"{place} {number}" + f" and {second_number}" * bool(second_number)
        outcomes = [first.outcome, second.outcome]
        error.add_note(f"interrupted at {places}; outcomes: {outcomes!r}")
        raise
    return first, second


def explore(prepare: Callable[[], Scenario], place: Place = "line") -> int:
    """Run a scenario once for each place, and return at how many places it was interrupted."""
    number = 1
    while run_at(prepare, place, number)[0].was_reached:
        number += 1
    return number - 1


def explore_pairs(prepare: Callable[[], Scenario]) -> int:
    """Run a scenario once for each line of both functions; return how often it was run."""
    runs = number = 0
    is_first_reached = True
    while is_first_reached:
        number += 1
        second_number = 0
        is_second_reached = True
        while is_second_reached:
            second_number += 1
            first, second = run_at(prepare, "line", number, second_number)
            is_first_reached, is_second_reached = first.was_reached, second.was_reached
            runs += 1
    return runs
