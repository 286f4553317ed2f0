"""How the optimizer learns: its settings and its schedule, without torch."""

import math

from pydantic import BaseModel, ConfigDict, Field


class FitConfig(BaseModel):
    """How the optimizer learns."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    epochs: int = Field(
        default=10,
        title="Epochs",
        json_schema_extra={"basic": True},
        ge=1,
        description="Number of passes over all training data.",
    )
    lr: float = Field(
        default=5e-4,
        title="Learning rate",
        gt=0,
        description="Highest learning rate, reached at the end of the warm-up.",
    )
    weight_decay: float = Field(
        default=0.05,
        title="Weight decay",
        ge=0,
        description="Weight decay of AdamW. Not applied to biases and normalization layers.",
    )
    warmup: float = Field(
        default=0.1,
        title="Warm-up",
        ge=0,
        lt=1,
        description="Fraction of all steps over which the learning rate rises from zero.",
    )
    clip: float = Field(
        default=1.0,
        title="Gradient clipping",
        gt=0,
        description="Largest norm of a gradient; larger gradients are scaled down to it.",
    )
    ema_decay: float = Field(
        default=0.999,
        title="Weight averaging",
        ge=0,
        lt=1,
        description="Decay of the moving average of the weights, from 0 (no averaging) to just "
        "below 1. The averaged weights become the model. The decay rises to this value over the "
        "first steps.",
    )
    accumulate: int = Field(
        default=1,
        title="Batches per step",
        ge=1,
        description="Batches whose gradients are averaged before each step: the effect of a "
        "larger batch in the same memory.",
    )
    patience: int = Field(
        default=0,
        title="Early stopping",
        json_schema_extra={"unit": "epochs"},
        ge=0,
        description="Training stops after this many epochs without a better validation result. "
        "0: never.",
    )


def warmup_cosine(step: int, steps: int, warmup: float) -> float:
    """Return the factor of the learning rate at ``step`` of ``steps`` (0 … 1)."""
    rise = warmup * steps
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(steps - rise, 1)))
