"""The page of errors has a section for each error that users may meet."""

import re
from pathlib import Path

import wares

ROOT = Path(__file__).parent.parent


def test_each_error_has_a_section():
    """Every public error is explained under a heading with its name."""
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    errors = {
        name
        for name in wares.__all__
        if isinstance(getattr(wares, name), type)
        and issubclass(getattr(wares, name), BaseException)
    }

    headings = {
        name
        for line in re.findall(r"^## (.+)$", page, re.MULTILINE)
        for name in line.split(", ")
    }

    assert errors - {"WaresError"} == headings - {"ResourceWarning"}
