"""Names and paths that can go on in the next line."""

import re


def breakable(text: str, longest: int) -> str:
    """Return a text whose long words may be broken: after a mark, or after so many letters.

    Parameters
    ----------
    longest
        Letters of a word that needs no break. What is put in has no width, and is not seen.
    """
    marks = r"/\\_.\-"
    breaks = re.compile(rf"([{marks}]|[^{marks}]{{{longest}}})")
    words = text.split(" ")
    return " ".join(breaks.sub("\\1\u200b", w) if len(w) > longest else w for w in words)
