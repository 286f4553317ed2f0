"""What the cells of a table mean: what is missing, one form of each label, Excel's accidents."""

import re
import unicodedata

_MISSING = frozenset(
    {"", "na", "n/a", "n.a", "n.a.", "<na>", "nan", "nat", "none", "null", "nil", "\\n", "missing"}
    | {"-", "--", "‐", "‑", "‒", "–", "—", "―", "−", "?", ".", "(blank)"}
    | {"#na", "#nv"}
)
# What spreadsheets write where a formula fails or a column is too narrow, in any language: #REF!,
# #BEZUG!, #NOM?, #N/D, ####.
_FAILED = re.compile(r"#[^#]*[!?]|#[^\W\d]/[^\W\d]|###+")
_WHOLE = re.compile(r"(-?\d+)[.,]0+")
_WHOLE_FLOAT = re.compile(r"(\d+)\.0")
_MONTHS = "jan|feb|m[aä]r|mrz|apr|ma[yi]|jun|jul|aug|sep|o[ck]t|nov|de[cz]"
_DAY, _MONTH, _YEAR = r"(0?[1-9]|[12]\d|3[01])", r"(0?[1-9]|1[0-2])", r"(18|19|20)\d\d"
_DAYS = "|".join(
    [
        r"\d{4}-\d\d-\d\d",
        rf"{_YEAR}/{_MONTH}/{_DAY}",
        *(rf"{_DAY}{mark}{_MONTH}{mark}{_YEAR}" for mark in (r"\. ?", "/", "-")),
        *(rf"{_MONTH}{mark}{_DAY}{mark}{_YEAR}" for mark in ("/", "-")),
        # without the century, or any year
        *(rf"{first}/{second}(/\d\d)?" for first, second in ((_DAY, _MONTH), (_MONTH, _DAY))),
        r"(0[1-9]|[12]\d|3[01])\.(0[1-9]|1[0-2])\.\d\d",
        rf"\d{{1,2}}[-. ]+({_MONTHS})[a-z]*\.?([-. ]+({_YEAR}|\d\d))?",
        rf"({_MONTHS})[a-z]*[-. ]+\d{{1,2}}",
    ]
)
_SECONDS = r"\d{1,2}:\d\d:\d\d([.,]\d+)?"
_DATE = re.compile(rf"({_DAYS})([ T]({_SECONDS}|\d{{1,2}}:\d\d)( ?[AP]M)?)?", re.IGNORECASE)
_TIME = re.compile(rf"(-?\d+ days?, )?{_SECONDS}")
_ROUNDED = re.compile(r"\d([.,]\d+)?E\+\d+", re.IGNORECASE)


def is_missing(text: str) -> bool:
    """Return whether a cell says nothing: it is blank, or NA, N/A, nan, None, NULL, - and the like.

    Dashes of any length count, and the error values of spreadsheets (such as #N/A or #BEZUG!).
    """
    text = text.strip().casefold()
    return text in _MISSING or _FAILED.fullmatch(text) is not None


def one_form(text: str) -> str:
    """Return a name without blanks around it, its accents composed (NFC)."""
    return unicodedata.normalize("NFC", text.strip())


def label_of(text: str) -> str:
    """Return a label in its one form; empty when it is missing.

    Spreadsheets write one label in several ways: 0, 0.0 and 0,00 become 0; TRUE and True become
    true. Letters and their accents are composed (NFC): macOS writes them apart. Everything else
    stays as it is.
    """
    text = one_form(text)
    if is_missing(text):
        return ""
    if text.casefold() in ("true", "false"):
        return text.casefold()
    whole = _WHOLE.fullmatch(text)
    number = whole[1] if whole else text
    return "0" if number == "-0" else number


def patient_of(text: str) -> str:
    """Return a patient's name in its one form (12.0 is 12); empty when it is missing.

    Leading zeros and further decimals stay: 007 and 1.10 are names, not numbers.
    """
    text = one_form(text)
    whole = _WHOLE_FLOAT.fullmatch(text)
    return "" if is_missing(text) else whole[1] if whole else text


def spreadsheet_accident(text: str) -> str:
    """Return in words what a spreadsheet made of a name; empty where it looks untouched.

    Excel turns names such as 3-1 or SEPT2 into dates, 3:1 into a time, and rounds long numbers.
    """
    if _DATE.fullmatch(text) or _TIME.fullmatch(text):
        kind, name = ("time", "3:1") if _TIME.fullmatch(text) else ("date", "3-1 or SEPT2")
        return f"{text!r} is a {kind}: a spreadsheet may have converted a name such as {name}"
    if _ROUNDED.fullmatch(text):
        return f"{text!r} is a number that a spreadsheet has rounded"
    return ""
