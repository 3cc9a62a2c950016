"""Pages from Jinja2 templates, and what the templates show: pictures, groups of maps, tables.

A page is one file that opens from disk: pictures and style are inside. `templates/page.html` is
the frame of every page, `templates/parts.html` has a macro for each class of this module.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphdown.reports.colours import ColourScale

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = "graphdown.reports"
GRADIENT_STOPS = 24
MIME_TYPES = {b"\x89PNG": "image/png", b"<?xml": "image/svg+xml"}


@dataclass(frozen=True)
class Picture:
    """A map or chart with its caption.

    Attributes:
        content: PNG or SVG.
        title: short heading.
        detail: a second line under the heading, may be empty.
        alt: description for those who cannot see the picture.
    """

    content: bytes
    title: str
    detail: str
    alt: str

    @property
    def url(self) -> str:
        """The picture as a data URL."""
        mime = next(t for start, t in MIME_TYPES.items() if self.content.startswith(start))
        return f"data:{mime};base64,{base64.b64encode(self.content).decode('ascii')}"


@dataclass(frozen=True)
class MapGroup:
    """Maps that share a colour scale, whose bar is drawn below them."""

    pictures: Sequence[Picture]
    scale: ColourScale

    @property
    def gradient(self) -> str:
        """Colours of the scale from its low to its high end, as stops of a CSS gradient."""
        rgb = self.scale.rgb()
        step = (len(rgb) - 1) / (GRADIENT_STOPS - 1)
        stops = (rgb[round(n * step)].tobytes().hex() for n in range(GRADIENT_STOPS))
        return ",".join(f"#{stop}" for stop in stops)


@dataclass(frozen=True)
class MapRow:
    """Groups of maps side by side where the screen is wide enough, with a heading if any."""

    title: str
    groups: Sequence[MapGroup]


@dataclass(frozen=True)
class ChartRow:
    """Line charts side by side where the screen is wide enough, with a heading if any."""

    title: str
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class TableCell:
    """One cell of a table: its text and whether it is the best of its column."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class HtmlTable:
    """A table that scrolls sideways on narrow screens.

    Attributes:
        groups: text and number of columns of the headings above the headings.
        headings: text of each column, and the explanation shown on hovering.
        rows: name and cells of each row.
    """

    groups: Sequence[tuple[str, int]]
    headings: Sequence[tuple[str, str]]
    rows: Sequence[tuple[str, Sequence[TableCell]]]

    @property
    def styles(self) -> list[str]:
        """CSS class of each column: "first" for the first one of a group."""
        return [style for _, n in self.groups for style in ("first", *[""] * (n - 1))]


def write_page(
    path: Path, template: str, packages: Sequence[str], title: str, values: Mapping[str, Any]
) -> None:
    """Write a page, and the folder that it lies in if there is none.

    Args:
        path: the file.
        template: name of the page's template.
        packages: those whose `templates` folders hold it and the templates it includes, beside
            those of this package.
        title: heading and window title.
        values: the template's variables.
    """
    page = _environment((*packages, TEMPLATES)).get_template(template)
    text = page.render(values, title=title)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def keep_percent(text: str) -> str:
    """Text in which no line break separates a number from its percent sign."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


@cache
def _environment(packages: tuple[str, ...]) -> "Environment":
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["keep_percent"] = keep_percent
    return environment
