"""What the command line says of the slides that it found, and of what it left out."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_xmag.slide.find import FoundSlides, Skipped

_NAMED = 5


def words_of_skipped(found: "FoundSlides") -> list[str]:
    """Return a line for each kind of what was left out below the folders, with names."""
    by_reason: dict[str, list[Skipped]] = {}
    for skipped in found.skipped:
        by_reason.setdefault(skipped.why, []).append(skipped)
    lines = [
        f"Skipped {len(all_of_it)} ({why}): {_names(all_of_it)}"
        for why, all_of_it in sorted(by_reason.items())
    ]
    if others := found.others:
        count = sum(number for _, number in others)
        kinds = ", ".join(
            f"{number} {suffix or 'without suffix'}" for suffix, number in found.others
        )
        lines.append(f"Skipped {count} {'file' if count == 1 else 'files'} of other kinds: {kinds}")
    lines += [f"NOT SEARCHED: {folder.path}: {folder.why}" for folder in found.unread]
    return lines


def _names(skipped: "list[Skipped]") -> str:
    names = [str(item.path) for item in skipped[:_NAMED]]
    more = len(skipped) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
