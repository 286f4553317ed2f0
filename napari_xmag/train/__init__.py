"""Training on labelled slides; ``napari_xmag.train(cohort, …)`` yields its events."""

from napari_xmag._callable import make_callable

make_callable(__name__, "napari_xmag.train.run")
