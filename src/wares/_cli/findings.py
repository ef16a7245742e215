"""The findings of a check, and their formats for editors and for GitHub."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import attrs

#: A file and a line, as messages of wares contain them.
_PLACE = re.compile(r"\(([^()]+):(\d+)\)")


@attrs.frozen
class Finding:
    """An error or a warning.

    Attributes:
        severity: ``"error"`` or ``"warning"``.
        message: The message; its first line is a summary.
        file: The file with the problem.
        line: The line with the problem.
    """

    severity: Literal["error", "warning"]
    message: str
    file: str
    line: int = 1

    @classmethod
    def of(cls, problem: Exception, file: str) -> Finding:
        """Make a finding whose place is the last one that the message of *problem* names.

        Args:
            problem: The problem.
            file: The file of the finding if the message names none.
        """
        return cls.at("error", str(problem), str(problem), file)

    @classmethod
    def at(
        cls, severity: Literal["error", "warning"], message: str, text: str, file: str
    ) -> Finding:
        """Make a finding whose place is the last one that *text* names, or else *file*."""
        places = _PLACE.findall(text)
        if not places:
            return cls(severity, message, file)
        return cls(severity, message, places[-1][0], int(places[-1][1]))

    @property
    def path(self) -> str:
        """The file, relative to the current folder if that contains the file."""
        path = Path(self.file)
        here = Path.cwd()
        return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()


def write_for_editor(finding: Finding) -> str:
    """Write a line that editors read, as compilers do: ``file:line: error: message``."""
    first_line = finding.message.splitlines()[0]
    return f"{finding.path}:{finding.line}: {finding.severity}: {first_line}"


def write_for_github(finding: Finding) -> str:
    """Write an annotation for the log of a GitHub workflow.

    https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
    """
    place = (
        f"file={_escape_property(finding.path)},line={finding.line}," if finding.file else ""
    )
    return f"::{finding.severity} {place}title=wares::{_escape_data(finding.message)}"


#: The functions that write a finding as one line, by format.
WRITERS: Mapping[str, Callable[[Finding], str]] = {
    "editor": write_for_editor,
    "github": write_for_github,
}


def _escape_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")
