"""Python's collector, spared what napari and PyTorch made once and for all.

napari has all garbage collected whenever a layer goes. To search some hundred thousand objects
that never change takes a fifth of a second, in which the window is deaf.
"""

import gc

_owners: set[object] = set()


def spare_collector(owner: object) -> None:
    """Let the collector leave alone all that is there now, until every owner has let go."""
    _owners.add(owner)
    gc.freeze()


def let_collect(owner: object) -> None:
    """Let the collector search everything again, unless another owner spares it."""
    _owners.discard(owner)
    if not _owners:
        gc.unfreeze()
