"""Numbers and times as people read them."""

from datetime import datetime


def percent(probability: float) -> str:
    """Return for instance "87 %"; never 0 or 100 where it is not."""
    if 0 < probability < 0.01:
        return "< 1 %"
    if 0.99 < probability < 1:
        return "> 99 %"
    return f"{100 * probability:.0f} %"


def local_minute(moment: str) -> str:
    """Return for instance "2026-11-27 22:02", by the clock of this computer.

    What is no time of ISO 8601 comes back as it is.
    """
    try:
        return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError):
        return moment
