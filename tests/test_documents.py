"""All code in the documentation runs: no block is left out silently."""

import re
from pathlib import Path

import pytest

import wares

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SOURCES = sorted(ROOT.glob("src/**/*.py"))
GUIDES = [page for page in PAGES if page.read_text("utf-8").startswith("# Use wares with ")]

# Blocks that are shown and not run. Anything else that is no directive is a mistake: "py" and
# "pycon", for example, would look like Python and never be run.
SHOWN = {
    "console",
    "css",
    "diff",
    "dockerfile",
    "dot",
    "html",
    "http",
    "ini",
    "javascript",
    "json",
    "markdown",
    "mermaid",
    "sql",
    "text",
    "toml",
    "yaml",
}


def relative(path: Path) -> str:
    """Name a page as a test's parameter."""
    return path.relative_to(ROOT).as_posix()


def opening_fences(text: str) -> list[str]:
    """Return the text after the opening fence of each outermost block."""
    found = []
    fence = ""
    for line in text.splitlines():
        match = re.match(r"[ >]*(`{3,}|~{3,}|:{3,})\s*(.*)$", line)
        if match is None:
            continue
        if not fence:
            fence = match[1]
            found.append(match[2].strip())
        elif match[1].startswith(fence) and not match[2]:
            fence = ""
    return found


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_block_names_its_language(page: Path) -> None:
    """A block is Python, which runs, or a language that is only shown, or a directive."""
    languages = {
        name for name in opening_fences(page.read_text("utf-8")) if not name.startswith("{")
    }

    assert set() == languages - SHOWN - {"python"}


@pytest.mark.parametrize("page", [*PAGES, *SOURCES], ids=relative)
def test_a_block_is_skipped_with_a_reason_only(page: Path) -> None:
    """A comment that skips a block says why."""
    skips = re.findall(
        r"^\s*(?:<!--+|\.\.|%)\s*skip:?\s*(.*)$", page.read_text("utf-8"), re.MULTILINE
    )

    unexplained = [
        skip
        for skip in skips
        if not re.match(r'(next|start) ("[^"]{8,}"|if\(.+, reason="[^"]{8,}"\))|end\b', skip)
    ]

    assert [] == unexplained


def test_the_reference_names_everything_public() -> None:
    """Each public name of `wares` and `wares.exceptions` has its place in the reference."""
    reference = "\n".join(
        page.read_text("utf-8") for page in (ROOT / "docs" / "reference").glob("*.md")
    )
    exceptions = {
        name
        for name in wares.__all__
        if isinstance(getattr(wares, name), type)
        and issubclass(getattr(wares, name), BaseException)
    }

    documented = set(re.findall(r"auto\w+:: wares\.(\w+)", reference))

    assert set() == set(wares.__all__) - exceptions - documented


@pytest.mark.parametrize("page", GUIDES, ids=relative)
def test_a_guide_to_a_framework_ends_with_its_edge_cases(page: Path) -> None:
    """The last section is a short list: what users will try, and what happens."""
    *_, last_section = page.read_text("utf-8").split("\n## ")
    heading, _, table, *_ = last_section.splitlines()

    assert ("Edge cases", "| what you do | what happens |") == (heading, table)
