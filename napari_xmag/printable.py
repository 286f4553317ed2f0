"""Words of others, such as names of files, in a form that can be printed, drawn and stored."""

import unicodedata

_HARMFUL = frozenset(("Cc", "Cs", "Cn", "Zl", "Zp"))
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str, keep: str = "") -> str:
    """Return a text on one line, in the order in which it stands, what is no character escaped.

    Parameters
    ----------
    keep
        Characters that stay as they are. So do blanks of every kind.
    """
    if text.isprintable():
        return text
    return "".join(one if is_harmless(one) or one in keep else ascii(one)[1:-1] for one in text)


def is_harmless(one: str) -> bool:
    """Return whether a character neither commands, breaks lines nor turns the text around it.

    Many scripts need characters that cannot be seen (joiners, soft hyphens, private ones).
    """
    return unicodedata.category(one) not in _HARMFUL and one not in _TURNING
