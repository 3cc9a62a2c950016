"""README.md is short, has its picture, and links to what is there."""

import re

from .documents import ROOT

LINK = re.compile(r"!?\[[^\]]*\]\((?!https?:)([^)#\s]+)(#[^)\s]*)?\)")
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_short_and_begins_with_a_picture_and_an_installation():
    lines = TEXT.splitlines()
    assert len(lines) <= 130
    picture, install = (
        next(n for n, line in enumerate(lines) if line.startswith(start))
        for start in ("![", "pip install")
    )
    assert picture < 15 and install < 30


def headings(path):
    """Anchors of a page's headings."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    titles = [line.lstrip("#").strip().lower() for line in lines if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


def test_links_lead_to_files_and_headings():
    found = LINK.findall(TEXT)
    assert len(found) > 20
    for path, anchor in found:
        assert (ROOT / path).is_file(), path
        assert not anchor or anchor[1:] in headings(path), path + anchor


def test_every_page_can_be_found_from_the_table_or_the_index():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or page.name in TEXT + index, page.name
