"""The pages that are filled in: every word in them is escaped, and none may be missing."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2


@cache
def templates() -> "jinja2.Environment":
    """Return the templates beside this file."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("napari_xmag.report", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
