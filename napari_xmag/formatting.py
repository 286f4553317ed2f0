"""Numbers as people read them."""


def percent(probability: float) -> str:
    """Return for instance "87 %"; never 0 or 100 where it is not."""
    if 0 < probability < 0.01:
        return "< 1 %"
    if 0.99 < probability < 1:
        return "> 99 %"
    return f"{100 * probability:.0f} %"
