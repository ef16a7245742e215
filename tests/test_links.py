"""Links between pages lead somewhere; Sphinx sees to those within `docs` alone."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    page
    for folder in ("", "docs/**/", "examples/**/", "benchmarks/**/")
    for page in ROOT.glob(f"{folder}*.md")
)
PAGES = [page for page in PAGES if "_build" not in page.parts]
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")


def relative(path: Path) -> str:
    """Name a page as a test's parameter."""
    return path.relative_to(ROOT).as_posix()


def without_code(text: str) -> str:
    """Leave out the parts that are shown as code."""
    return re.sub(r"(?ms)^(`{3,})[^\n]*\n.*?^\1[ ]*$|`[^`\n]+`", "", text)


def anchors_of(page: Path) -> set[str]:
    """Find what a link into a page may name: its headings, as GitHub spells them, and labels."""
    text = page.read_text("utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    spelt = {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in headings
    }
    return spelt | set(re.findall(r"^\((\S+)\)=$", text, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_relative_links_lead_somewhere(page: Path) -> None:
    """A relative link names a file that is there, and a heading that it has."""
    broken = []
    for name, anchor in LINK.findall(without_code(page.read_text("utf-8"))):
        target = (page.parent / name).resolve() if name else page
        if not target.exists():
            broken.append(name)
        elif anchor and target.suffix == ".md" and anchor not in anchors_of(target):
            broken.append(f"{name}#{anchor}")

    assert [] == broken
