"""The building blocks of the page: pictures, colour bars, tables, sections, the whole document."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from graphdown.reports.colours import ColourScale

GRADIENT_STOPS = 24
MIME_TYPES = {b"\x89PNG": "image/png", b"<?xml": "image/svg+xml"}


@dataclass(frozen=True)
class Picture:
    """A map or chart with its caption.

    Attributes:
        content: PNG or SVG.
        title: short heading.
        detail: a second line under the heading, may be empty.
        alt: what the picture shows, for those who cannot see it.
    """

    content: bytes
    title: str
    detail: str
    alt: str

    def html(self) -> str:
        """Return the picture as a figure with its data inside."""
        mime = next(t for start, t in MIME_TYPES.items() if self.content.startswith(start))
        data = base64.b64encode(self.content).decode("ascii")
        detail = f"<small>{escape(self.detail)}</small>" if self.detail else ""
        return (
            f"<figure><figcaption>{escape(self.title)}{detail}</figcaption>"
            f'<img src="data:{mime};base64,{data}" alt="{escape(self.alt)}"></figure>'
        )


def colour_bar(scale: ColourScale) -> str:
    """Return the legend of a colour scale."""
    rgb = scale.rgb()
    step = (len(rgb) - 1) / (GRADIENT_STOPS - 1)
    stops = ",".join(f"#{rgb[round(n * step)].tobytes().hex()}" for n in range(GRADIENT_STOPS))
    ticks = "".join(
        f'<span style="left:{100 * place:.1f}%">{escape(text)}</span>'
        for place, text in scale.ticks()
    )
    return (
        f'<div class="bar"><div class="colours" style="background:linear-gradient(90deg,{stops})">'
        f'</div><div class="ticks">{ticks}</div><div class="units">{escape(scale.units)}</div>'
        "</div>"
    )


def map_group(pictures: Sequence[Picture], scale: ColourScale) -> str:
    """Return maps that share a colour scale, with its bar below them."""
    maps = "".join(picture.html() for picture in pictures)
    return (
        f'<div class="group" style="--n:{len(pictures)}"><div class="maps">{maps}</div>'
        f"{colour_bar(scale)}</div>"
    )


def row(groups: Iterable[str]) -> str:
    """Return groups of maps side by side where the screen is wide enough."""
    return f'<div class="row">{"".join(groups)}</div>'


def charts(pictures: Sequence[Picture]) -> str:
    """Return line charts side by side where the screen is wide enough."""
    return f'<div class="charts">{"".join(picture.html() for picture in pictures)}</div>'


def colour_key(colours: dict[str, str], dashed: str | None = None) -> str:
    """Return the key of a chart's lines; `dashed` names the black dashed line."""
    items = "".join(
        f'<li><i style="background:{colour}"></i>{escape(name)}</li>'
        for name, colour in colours.items()
    )
    truth = f'<li><i class="dashed"></i>{escape(dashed)}</li>' if dashed else ""
    return f'<ul class="key">{items}{truth}</ul>'


@dataclass(frozen=True)
class TableCell:
    """One cell of a table: its text and whether it is the best of its column."""

    text: str
    best: bool = False

    def html(self, style: str) -> str:
        """Return the cell with a CSS class; the best one is marked by weight as well."""
        if not self.best:
            return f'<td class="{style}">{escape(self.text)}</td>'
        title = "best of the column"
        return f'<td class="{style} best" title="{title}"><b>{escape(self.text)}</b></td>'


def table(
    groups: Sequence[tuple[str, int]],
    headings: Sequence[tuple[str, str]],
    rows: Sequence[tuple[str, Sequence[TableCell]]],
) -> str:
    """Return a table that scrolls sideways on narrow screens.

    Args:
        groups: text and number of columns of the headings above the headings.
        headings: text of each column, and the explanation shown on hovering.
        rows: name and cells of each row.
    """
    styles = [style for _, n in groups for style in ["first", *[""] * (n - 1)]]
    top = "".join(f'<th colspan="{n}" class="first top">{escape(text)}</th>' for text, n in groups)
    names = "".join(
        f'<th class="{style}" title="{escape(why)}">{escape(text)}</th>'
        for style, (text, why) in zip(styles, headings, strict=True)
    )
    body = "".join(
        f"<tr><th>{escape(name)}</th>"
        + "".join(cell.html(style) for style, cell in zip(styles, cells, strict=True))
        + "</tr>"
        for name, cells in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr><td></td>{top}</tr><tr><td></td>{names}</tr>'
        f"</thead><tbody>{body}</tbody></table></div>"
    )


def section(identifier: str, title: str, body: str) -> str:
    """Return a titled section that the navigation can link to."""
    return f'<section id="{escape(identifier)}"><h2>{escape(title)}</h2>{body}</section>'


def heading(text: str) -> str:
    """Return a heading inside a section."""
    return f"<h3>{escape(text)}</h3>"


def subheading(text: str) -> str:
    """Return a heading below `heading`."""
    return f"<h4>{escape(text)}</h4>"


def paragraph(text: str, style: str = "") -> str:
    """Return a paragraph; `style` is "lead", "note" or nothing. A number keeps its % beside it."""
    kept = escape(text).replace(" %", "&nbsp;%")
    return f'<p class="{style}">{kept}</p>' if style else f"<p>{kept}</p>"


def details(title: str, body: str) -> str:
    """Return a part that is opened by a click."""
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def explained(texts: Mapping[str, str]) -> str:
    """Return names with what they mean."""
    items = "".join(f"<dt>{escape(n)}</dt><dd>{escape(text)}</dd>" for n, text in texts.items())
    return f"<dl>{items}</dl>"


def document(title: str, introduction: str, sections: Sequence[tuple[str, str, str]]) -> str:
    """Return the whole page.

    Args:
        title: heading and window title.
        introduction: HTML above the navigation.
        sections: identifier, title and HTML of each section.
    """
    links = "".join(f'<a href="#{escape(i)}">{escape(name)}</a>' for i, name, _ in sections)
    body = "".join(section(*parts) for parts in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f"<header><h1>{escape(title)}</h1>{introduction}<nav>{links}</nav></header>{body}"
        "</main></body></html>\n"
    )


STYLE = """
:root{color-scheme:light;--ink:#1d232b;--soft:#5b6672;--line:#e2e6ea;--accent:#0b5cad}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:#f5f6f8;color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1200px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .6rem;letter-spacing:-.01em}
h2{font-size:1.35rem;margin:0 0 .4rem;line-height:1.25}
h3{font-size:1.08rem;margin:2rem 0 .3rem}
h4{font-size:.97rem;font-weight:500;margin:1rem 0 .4rem}
p{margin:.35rem 0 .8rem;max-width:76ch}
p.lead{font-size:1.08rem}
p.note{color:var(--soft);font-size:.93rem}
nav{display:flex;flex-wrap:wrap;gap:8px;margin-top:1rem}
nav a{color:var(--accent);text-decoration:none;border:1px solid var(--line);background:#fff;
border-radius:999px;padding:3px 13px;font-size:.9rem}
nav a:hover{border-color:var(--accent)}
section{background:#fff;border:1px solid var(--line);border-radius:10px;padding:22px 24px;
margin-top:20px}
.scroll{overflow-x:auto;margin:.6rem 0 1rem}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
thead{border-bottom:2px solid #c5ccd3}
th,td{padding:5px 11px;text-align:right;white-space:nowrap}
thead th{font-weight:600;color:var(--soft);cursor:help}
thead th.top{color:var(--ink);text-align:left;cursor:auto;border-bottom:1px solid var(--line)}
tbody th{text-align:left;font-weight:500;position:sticky;left:0;background:#fff}
tbody tr+tr{border-top:1px solid var(--line)}
th.first,td.first{border-left:1px solid var(--line)}
td.best{background:#e3f1e6;color:#0c5a26}
.row{display:flex;flex-wrap:wrap;align-items:end;gap:14px 26px;margin:.5rem 0 1.1rem}
.group{flex:var(--n) 1 calc(var(--n)*150px);min-width:0;max-width:calc(var(--n)*250px)}
.maps{display:grid;gap:10px;align-items:end;grid-template-columns:repeat(var(--n),minmax(0,1fr))}
figure{margin:0;min-width:0}
figure img{display:block;width:100%;height:auto}
figcaption{font-size:.88rem;font-weight:600;line-height:1.3;margin-bottom:3px}
figcaption small{display:block;font-weight:400;color:var(--soft);font-size:.82rem}
.bar{display:grid;grid-template-columns:minmax(0,1fr) auto;gap:0 14px;max-width:430px;
margin-top:6px;padding-left:12px}
.bar .colours{height:10px;border-radius:2px;border:1px solid #cfd5da}
.bar .ticks{position:relative;height:1.35em;font-size:.78rem;color:var(--soft);grid-row:2}
.bar .ticks span{position:absolute;transform:translateX(-50%)}
.bar .units{font-size:.8rem;color:var(--soft);line-height:12px;grid-row:1;grid-column:2}
.charts{display:grid;gap:16px 26px;margin:.4rem 0 1rem;
grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr))}
.charts figure{max-width:540px}
.key{list-style:none;display:flex;flex-wrap:wrap;gap:4px 18px;padding:0;margin:.4rem 0;
font-size:.88rem}
.key i{display:inline-block;width:22px;height:3px;vertical-align:middle;margin-right:7px}
.key i.dashed{height:0;border-top:2px dashed #1a1a1a}
details{margin:.6rem 0}
summary{cursor:pointer;color:var(--accent);font-size:.93rem}
dl{font-size:.9rem;display:grid;grid-template-columns:minmax(120px,auto) 1fr;gap:4px 18px;margin:0}
dt{font-weight:600}
dd{margin:0;color:#3c4650;overflow-wrap:anywhere}
.tag{display:inline-block;border-radius:4px;padding:1px 8px;font-size:.82rem;font-weight:600;
background:#e8eef6;color:#23466f}
.tag.unseen{background:#fdeedd;color:#7a3d00}
@media(max-width:640px){
main{padding:18px 10px 40px}
section{padding:16px 13px;border-radius:8px}
h1{font-size:1.5rem}
.group{flex-basis:100%;max-width:none}
.maps{grid-template-columns:repeat(min(var(--n),2),minmax(0,1fr))}
.group[style="--n:3"] .maps{grid-template-columns:repeat(3,minmax(0,1fr));gap:7px}
dl{grid-template-columns:1fr}
dd{margin-bottom:6px}
th,td{padding:5px 8px}
tbody th{white-space:normal;min-width:28vw;max-width:38vw;line-height:1.3}
.charts figure{overflow-x:auto}
.charts figcaption{position:sticky;left:0}
.charts figure img{min-width:470px}
}
"""
