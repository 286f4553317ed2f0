"""What a model's card says of how good the model is, in short."""

import re
from dataclasses import dataclass

from napari_xmag.analyze.result import SlideResult
from napari_xmag.filenames import CARD
from napari_xmag.zoo import list_models

_LIMITS = re.compile(r"limit|intended use|not for|out of scope", re.IGNORECASE)
_LONGEST, _MOST_LIMITS = 600, 4


@dataclass(frozen=True, slots=True)
class CardExcerpt:
    """A short part of a card.

    Attributes
    ----------
    figures
        Name and value of each figure on the test slides.
    limits
        What the model is not for, in sentences.
    note
        What must be said of the card itself; empty where it is there.
    """

    figures: tuple[tuple[str, str], ...] = ()
    limits: tuple[str, ...] = ()
    note: str = ""


def card_excerpt(result: SlideResult) -> CardExcerpt:
    """Return what the card of a result's model says, where that very model is on this computer."""
    wanted = result.model["sha256"]
    for entry in list_models(verify=False):
        if entry.info is not None and entry.info.sha256 == wanted:
            try:
                text = (entry.folder / CARD).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                break
            return read_card(text, entry.info.demonstration)
    return CardExcerpt(note="The model card is not available on this computer.")


def read_card(text: str, demonstration: bool = False) -> CardExcerpt:
    """Return the figures and limits in a card.

    Parameters
    ----------
    text
        Markdown, as this program writes it; of others, what can be recognized.
    """
    sections = _sections(text)
    limits = [_plain(body) for name, body in sections.items() if _LIMITS.search(name)]
    if demonstration:
        limits.insert(0, "This is a demonstration model: it only shows how the program works.")
    figures = _last_row(sections.get("Performance", ""))
    note = "" if figures else "The model card gives no performance figures."
    return CardExcerpt(figures, tuple(filter(None, limits))[:_MOST_LIMITS], note)


def _sections(text: str) -> dict[str, str]:
    parts = re.split(r"^## +(.+)$", text, flags=re.MULTILINE)
    return dict(zip(map(str.strip, parts[1::2]), parts[2::2], strict=True))


def _last_row(body: str) -> tuple[tuple[str, str], ...]:
    """Return the last row of the first table: of the splits, the test comes last."""
    lines = [line for line in body.splitlines() if line.startswith("|")]
    if len(lines) < 3:
        return ()
    heading, row = (_cells(line) for line in (lines[0], lines[-1]))
    return tuple((name, value) for name, value in zip(heading, row, strict=False) if value)


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _plain(body: str) -> str:
    words = " ".join(re.sub(r"[*`]|^[-|].*$", "", body, flags=re.MULTILINE).split())
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST].rsplit(' ', 1)[0]} …"
