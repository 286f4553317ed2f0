"""How a configuration names a teacher."""

from typing import Any, Literal

from pydantic import Field

from napari_xmag.config import AnchoredPath, ConfigSection, NetworkSource
from napari_xmag.nets.teachers.known import TeacherSpec, teacher_spec


class TeacherConfig(ConfigSection):
    """The frozen network it learns from."""

    name: NetworkSource = Field(
        description="A known teacher such as midnight-12k (napari-xmag distill teachers lists "
        "them), a timm name, local-dir:FOLDER or hf-hub:OWNER/NAME."
    )
    folder: AnchoredPath | None = Field(
        default=None,
        description="Where a known teacher's model.safetensors lies; none: it is fetched.",
    )
    feature: Literal["pooled", "cls", "cls_mean"] | None = Field(
        default=None,
        description="Own pooling, class token, or class token and mean patch token; none: as "
        "known of the teacher, else its own pooling.",
    )
    tile_px: int | None = Field(
        default=None,
        ge=16,
        description="Size at which it sees a tile; none: as known of the teacher, else as cut "
        "from the field.",
    )
    mean: tuple[float, float, float] | None = Field(default=None, description="None: its own.")
    std: tuple[float, float, float] | None = Field(default=None, description="None: its own.")
    licence: str | None = Field(
        default=None,
        description="As its authors state; goes into the card. None: as known of the teacher.",
    )
    arguments: dict[str, Any] = Field(
        default={}, description="More arguments of timm.create_model."
    )
    weight: float = Field(
        default=1.0, gt=0, description="Of its losses among those of several teachers."
    )

    def spec(self) -> TeacherSpec:
        """Return how to load it."""
        return teacher_spec(**self.model_dump(exclude={"weight"}))
