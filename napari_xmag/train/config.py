"""Every setting of a training on labelled slides, each with its meaning."""

from pydantic import BaseModel, ConfigDict, Field

from napari_xmag.nets.info import Attends
from napari_xmag.train.fit import FitConfig


class TrainConfig(BaseModel):
    """How a slide model is trained on frozen features."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        default="my-model", description="Name of the model: letters, digits, dot, dash."
    )
    display_name: str = Field(default="", description="Name for people; empty: the name.")
    description: str = Field(default="", description="One sentence for the model chooser.")
    demonstration: bool = Field(default=False, description="Mark it as a demonstration model.")
    licence: str = Field(
        default="", description="Licence of the weights; empty: that of the encoder."
    )
    attends: Attends = Field(
        default="cells",
        description="What the head weighs: whole tiles, or their cells (a finer map).",
    )
    hidden: int = Field(default=128, ge=1, description="Width of the gated attention.")
    dropout: float = Field(default=0.25, ge=0, lt=1, description="Share of feature values dropped.")
    batch_size: int = Field(default=8, ge=1, description="Slides in a batch.")
    min_tissue: float = Field(
        default=0.2, ge=0, le=1, description="Least share of tissue in a tile or cell."
    )
    validation: float = Field(
        default=0.2, ge=0, lt=1, description="Share of patients for validation."
    )
    test: float = Field(
        default=0.2, ge=0, lt=1, description="Share of patients held out for the figures."
    )
    class_weights: bool = Field(
        default=True, description="Rare classes count more, so that all count alike."
    )
    seed: int = Field(default=0, description="Seed of split, order and new weights.")
    device: str = Field(default="auto", description="auto, cpu, cuda, mps.")
    fit: FitConfig = FitConfig(epochs=40, lr=3e-4, weight_decay=0.05, ema_decay=0.99)
