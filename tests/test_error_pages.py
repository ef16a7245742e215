"""Each error that users may meet has a section on the page of errors, and links to it."""

import re
import tomllib
import traceback
from pathlib import Path

import wares
from wares.exceptions import ServiceNotFoundError
from wares.socketio import AnswerError, PayloadError

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "errors.md").read_text("utf-8")
ERRORS = {
    error
    for error in (*(getattr(wares, name) for name in wares.__all__), AnswerError, PayloadError)
    if isinstance(error, type) and issubclass(error, BaseException)
}


def test_each_error_has_a_section():
    """Every public error is explained under a heading with its name."""
    names = {error.__name__ for error in ERRORS}

    headings = set(re.findall(r"^## (.+)$", PAGE, re.MULTILINE))

    assert names - {"WaresError"} == headings - {"ResourceWarning"}


def test_a_traceback_ends_with_the_link():
    """Below the message, a traceback shows the address of the error's section."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    last_line = traceback.format_exception_only(ServiceNotFoundError("books"))[-1].strip()

    page = f"{project['urls']['Documentation']}/en/stable/errors.html"
    assert f"More about it: {page}#servicenotfounderror" == last_line


def test_the_message_itself_has_no_link():
    """The text of an error, which applications log or show, contains no address."""
    assert "https://" not in str(ServiceNotFoundError("books"))
