"""Numbers as people read them."""


def percent(probability: float) -> str:
    """Return for instance "87 %"; never 0 or 100 where it is not."""
    if 0 < probability < 0.01:
        return "< 1 %"
    if 0.99 < probability < 1:
        return "> 99 %"
    return f"{100 * probability:.0f} %"


def duration(seconds: float) -> str:
    """Return a time in words: "16 s", "35 min", "2 h 05 min"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
