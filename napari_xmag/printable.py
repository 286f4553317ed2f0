"""Words of others, such as names of files, in a form that can be printed, drawn and stored."""

import unicodedata


def printable(text: str, keep: str = "") -> str:
    """Return a text on one line, what cannot be seen, or is no character at all, escaped.

    Parameters
    ----------
    keep
        Characters that stay as they are. So do blanks of every kind.
    """
    if text.isprintable():
        return text
    return "".join(one if is_seen(one) or one in keep else ascii(one)[1:-1] for one in text)


def is_seen(one: str) -> bool:
    """Return whether a character can be seen, or is a blank."""
    return one.isprintable() or unicodedata.category(one) == "Zs"
