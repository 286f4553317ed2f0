"""Settings of ``evaluate teach``."""

from typing import Self

from pydantic import Field, model_validator

from napari_xmag.config import AnchoredPath, ConfigSection
from napari_xmag.evaluate.config import EncoderConfig, EvaluateConfig, require_own_names


class ComposedSource(ConfigSection):
    """Slides whose islands have known classes."""

    name: str = Field(min_length=1, description="Name in tables.")
    folder: AnchoredPath = Field(
        description="Written by docs/recipes/compose_slides.py: slides and truth.json."
    )
    slides: int = Field(
        default=12,
        ge=3,
        description="Largest number of slides used; only those with two classes count.",
    )


class TeachVariant(ConfigSection):
    """One way of fitting; what is left out is as the product has it."""

    name: str = Field(min_length=1, description="Name in tables.")
    context: bool = Field(
        default=True, description="Add the mean of the neighbouring patches to each patch."
    )
    by_slide: bool = Field(default=False, description="Standardize each slide separately.")
    spreading: bool = Field(
        default=True, description="Let classes spread to patches that look alike."
    )
    components: int = Field(default=64, ge=1, description="Principal components.")


class TeachConfig(EvaluateConfig):
    """``evaluate teach``."""

    sources: tuple[ComposedSource, ...] = Field(min_length=1, description="Composed slides.")
    encoders: tuple[EncoderConfig, ...] = Field(min_length=1, description="Students to compare.")
    mean_color: bool = Field(
        default=True, description="Compare with the mean colour of each patch as its features."
    )
    variants: tuple[TeachVariant, ...] = Field(
        default=(
            TeachVariant(name="as taught"),
            TeachVariant(name="no context", context=False),
            TeachVariant(name="by slide", by_slide=True),
        ),
        min_length=1,
        description="Ways of fitting; for encoders after the first, only the first way is used.",
    )
    clicks: tuple[int, ...] = Field(
        default=(1, 3, 5, 10, 20, 50), min_length=1, description="Examples of each class."
    )
    suggested_clicks: int = Field(
        default=20,
        ge=1,
        description="Largest number of examples of each class chosen by suggestions.",
    )
    seeds: int = Field(default=3, ge=1, description="Repetitions, each with different clicks.")
    bounds: bool = Field(
        default=False,
        description="Measure, too, what probes reach that see the classes of all other islands.",
    )
    carried_clicks: int = Field(
        default=20, ge=1, description="Examples of each class on each of two slides, carried over."
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        for named in (self.sources, self.encoders, self.variants):
            require_own_names([item.name for item in named])
        if any(encoder.teacher or encoder.shape for encoder in self.encoders):
            raise ValueError("only students can be taught on: they have the cells of a map")
        return self
