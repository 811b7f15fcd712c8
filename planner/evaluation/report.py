"""One self-contained HTML file: tables and pictures, opens from disk."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .8rem;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child{text-align:left}img{max-width:100%}figcaption{color:#555;font-size:.9rem}figure{margin:1rem 0}"""


@dataclass(frozen=True, eq=False)
class Section:
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    figures: Sequence[tuple[str, Figure]]  # caption, figure


def render_report(title: str, intro: str, sections: Sequence[Section]) -> str:
    """Sections -> one HTML document; pictures are embedded, nothing is fetched."""
    body = "\n".join(_section(section) for section in sections)
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{html.escape(title)}</title><style>{_STYLE}</style>"
        f"<h1>{html.escape(title)}</h1><p>{html.escape(intro)}</p>{body}</html>\n"
    )


def figure_to_png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    return stream.getvalue()


def _section(section: Section) -> str:
    head = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in section.header)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in section.rows)
    figures = "".join(_figure(caption, figure) for caption, figure in section.figures)
    return f"<h2>{html.escape(section.title)}</h2><table><tr>{head}</tr>{rows}</table>{figures}"


def _figure(caption: str, figure: Figure) -> str:
    data = base64.b64encode(figure_to_png(figure)).decode()
    text = html.escape(caption)
    return f"<figure><img alt='{text}' src='data:image/png;base64,{data}'><figcaption>{text}</figcaption></figure>"
