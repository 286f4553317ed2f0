"""Settings of the views that a field is shown in."""

from pydantic import AliasChoices, Field

from napari_xmag.config import ConfigSection


class ViewConfig(ConfigSection):
    """Random views of a field."""

    views: int = Field(
        default=2, ge=1, description="Number of random views of each field in a batch."
    )
    flips: float = Field(default=0.5, ge=0, le=1, description="Probability of each flip.")
    color: float = Field(default=0.05, ge=0, le=0.5, description="Largest colour change.")
    color_probability: float = Field(
        default=0.5, ge=0, le=1, description="Share of views with changed colours."
    )
    scanner_shift: float = Field(
        default=0.0,
        validation_alias=AliasChoices("scanner_shift", "elsewhere"),
        ge=0,
        le=1,
        description="Share of views that only the student sees as from another laboratory and "
        "scanner (stain, blur), while the teachers' features stay the same: it becomes robust to "
        "them. Not in the published recipe.",
    )
    stain: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Strength of HED jitter in these views; 0.05 is light, 0.2 strong.",
    )
    blur: float = Field(
        default=1.0,
        ge=0,
        description="Largest standard deviation of the blur in these views, in pixels of the "
        "student's tile.",
    )
