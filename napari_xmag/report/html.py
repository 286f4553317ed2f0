"""A report of one slide as one HTML file that needs no other."""

import base64
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xmag.files import whole_file
from napari_xmag.formatting import percent
from napari_xmag.report.content import ReportContent
from napari_xmag.report.templates import templates

if TYPE_CHECKING:
    import jinja2


def write_html(content: ReportContent, path: Path | str) -> None:
    """Write the report; all words in it are escaped.

    Raises
    ------
    ExportError
        When the file cannot be written.
    """
    page = _template().render(it=content)
    with whole_file(Path(path)) as part:
        part.write_text(page, encoding="utf-8")


@cache
def _template() -> "jinja2.Template":
    environment = templates()
    environment.filters["jpeg"] = lambda content: _address(content, "jpeg")
    environment.filters["percent"] = percent
    environment.filters["png"] = lambda content: _address(content, "png")
    return environment.get_template("slide_report.html.jinja")


def _address(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
