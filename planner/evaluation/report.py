"""One self-contained HTML file: tables and pictures, opens from disk, at any width."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

# In a narrow window each row of a table becomes a block of its own, with the headings beside the values.
_STYLE = """*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222}
h2{margin-top:2.5rem;border-bottom:2px solid #2f6db5}
table{border-collapse:collapse;margin:1rem 0;width:100%}
td,th{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #ddd;vertical-align:bottom}
td:first-child,th:first-child{text-align:left}th small{display:block;color:#555;font-weight:normal}
img{max-width:100%;height:auto}figcaption,.note{color:#555;font-size:.9rem}figure{margin:1.5rem 0}
.foot{margin-top:3rem;border-top:2px solid #ddd;font-size:.85rem}.foot dt{font-weight:600}
.foot dd{margin:0 0 .4rem;overflow-wrap:anywhere}
@media(max-width:44rem){thead{display:none}tr{display:block;margin:.6rem 0;border-left:3px solid #2f6db5;padding-left:.6rem}
td{display:flex;justify-content:space-between;border:0;padding:0}td:first-child{font-weight:600}
td:not(:first-child)::before{content:attr(data-heading);color:#555;padding-right:1rem;text-align:left}}"""


@dataclass(frozen=True)
class Heading:
    """Of a column."""

    title: str
    unit: str = ""  # below it


@dataclass(frozen=True, eq=False)
class Picture:
    content: Figure | bytes  # bytes: a GIF
    caption: str  # a sentence: what it shows


@dataclass(frozen=True, eq=False)
class Section:
    title: str
    about: str
    header: Sequence[Heading]
    rows: Sequence[Sequence[str]]
    pictures: Sequence[Picture] = ()
    notes: Sequence[str] = ()  # below the table


def render_report(title: str, intro: str, sections: Sequence[Section], foot: Mapping[str, str]) -> str:
    """Sections -> one HTML document; pictures are embedded, nothing is fetched. `foot`: how and when it was made."""
    body = "\n".join(_section(section) for section in sections)
    made = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in foot.items())
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>"
        f"<h1>{html.escape(title)}</h1><p>{html.escape(intro)}</p>{body}<dl class='foot'>{made}</dl></html>\n"
    )


def figure_to_png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    return stream.getvalue()


def spoken_interval(ends: Sequence[float]) -> str:
    """[0.66, 0.83] -> `0.66 to 0.83`"""
    low, high = ends
    return f"{low:.2f} to {high:.2f}"


def spoken_number(value: float | None, digits: int) -> str:
    """`-` for what is not known."""
    return "-" if value is None else f"{value:.{digits}f}"


def _section(section: Section) -> str:
    head = "".join(f"<th>{html.escape(heading.title)}{_unit(heading)}</th>" for heading in section.header)
    rows = "".join(_row(section.header, row) for row in section.rows)
    notes = "".join(f"<p class='note'>{html.escape(note)}</p>" for note in section.notes)
    pictures = "".join(_figure(picture) for picture in section.pictures)
    return (
        f"<h2>{html.escape(section.title)}</h2><p>{html.escape(section.about)}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{notes}{pictures}"
    )


def _unit(heading: Heading) -> str:
    return f"<small>{html.escape(heading.unit)}</small>" if heading.unit else ""


def _row(header: Sequence[Heading], row: Sequence[Any]) -> str:
    cells = []
    for heading, cell in zip(header, row, strict=True):
        named = html.escape(f"{heading.title} ({heading.unit})" if heading.unit else heading.title, quote=True)
        cells.append(f"<td data-heading='{named}'>{html.escape(str(cell))}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _figure(picture: Picture) -> str:
    kind, content = ("gif", picture.content) if isinstance(picture.content, bytes) else ("png", figure_to_png(picture.content))
    data = base64.b64encode(content).decode()
    text = html.escape(picture.caption, quote=True)
    return f"<figure><img alt='{text}' src='data:image/{kind};base64,{data}'><figcaption>{text}</figcaption></figure>"
