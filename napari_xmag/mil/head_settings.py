"""How an attention head is built and learns from the features of slides, without torch."""

from dataclasses import dataclass

from napari_xmag.learn.fit_config import FitConfig

_FIT = FitConfig(epochs=40, lr=3e-4, weight_decay=0.05, ema_decay=0.99)


@dataclass(frozen=True)
class HeadSettings:
    """What `napari_xmag.mil.head_training.train_head` needs to know.

    Attributes
    ----------
    hidden
        Width of the gated attention.
    dropout
        Share of feature values that are dropped at random while it learns.
    batch_size
        Slides in a batch.
    class_weights
        Whether rare classes count more, so that all count alike.
    label_smoothing
        Share of a label that is spread over all classes.
    patch_weight
        How much the labelled patches of a slide count beside its label; 0: not at all.
    seed
        Seed of order and new weights.
    fit
        Epochs, learning rate, and what else the optimizer needs.
    """

    hidden: int = 128
    dropout: float = 0.25
    batch_size: int = 2
    class_weights: bool = True
    label_smoothing: float = 0.0
    patch_weight: float = 1.0
    seed: int = 0
    fit: FitConfig = _FIT


DEFAULT_HEAD = HeadSettings()
