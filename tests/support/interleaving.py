"""Runs one thing in the very middle of another, at every line of ours, one line after the other.

Lines count once, when they are first come to: what is done in a loop, or for each of many
services, is interrupted at its first round.
"""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wares

FOLDER = str(Path(wares.__file__).parent)
SECONDS = 10
#: How long the second is given to end while the first stands still; it may have to wait for it.
PATIENCE = 0.004


def is_ours(file_name: str) -> bool:
    """Tell whether a file, or what stands for one, belongs to wares."""
    return file_name.startswith(FOLDER) or "of wares" in file_name


class Halt:
    """Lets a thread stand still when it comes to its *line*-th line of ours."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.seen: set[tuple[str, int]] = set()
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def trace(self, frame, event, _):
        """Count the lines of ours."""
        file_name = frame.f_code.co_filename
        if not is_ours(file_name):
            return None
        place = (file_name, frame.f_lineno)
        if event == "line" and place not in self.seen:
            self.seen.add(place)
            if len(self.seen) == self.line:
                self.reached.set()
                self.go_on.wait(SECONDS)
        return self.trace

    def run(self, function: Callable[[], Any], outcomes: dict[str, Any]) -> None:
        """Run *function* under watch."""
        sys.settrace(self.trace)
        try:
            outcomes["first"] = function()
        except BaseException as error:  # noqa: BLE001  # an outcome like any other
            outcomes["first"] = error
        finally:
            sys.settrace(None)
            self.reached.set()


def run_at_line(
    line: int, first: Callable[[], Any], second: Callable[[], Any]
) -> tuple[Any, Any, bool]:
    """Run *second* when *first* has come to its *line*-th line, or to its end.

    Returns:
        What each returned or raised, and whether there was such a line.
    """
    outcomes: dict[str, Any] = {}
    halt = Halt(line)

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
    was_reached = len(halt.seen) >= line
    threads[1].start()
    threads[1].join(PATIENCE)
    halt.go_on.set()
    for thread in threads:
        thread.join(SECONDS)
    if any(thread.is_alive() for thread in threads):
        pytest.fail(f"a deadlock, with the first one interrupted at its line {line}")
    return outcomes["first"], outcomes["second"], was_reached


def explore(
    prepare: Callable[[], tuple[Callable[[], Any], Callable[[], Any], Callable[..., None]]],
) -> int:
    """Run a scenario anew for each line, and return at how many lines it was interrupted."""
    line = 0
    while True:
        line += 1
        first, second, check = prepare()
        *outcomes, was_reached = run_at_line(line, first, second)
        try:
            check(*outcomes)
        except BaseException as error:
            error.add_note(f"interrupted at line {line}; outcomes: {outcomes!r}")
            raise
        if not was_reached:
            return line - 1
