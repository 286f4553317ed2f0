"""A slide model in its folder, whose networks are loaded when they are needed; needs no torch."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xmag.errors import ModelError
from napari_xmag.nets.engines.base import Engine
from napari_xmag.nets.folders.folder import Arrays, FolderContent, read_folder
from napari_xmag.nets.heads.patch_classifier import PatchClassifier
from napari_xmag.nets.info import Granularity, ModelInfo

if TYPE_CHECKING:
    from napari_xmag.nets.heads.abmil import AttentionHead
    from napari_xmag.nets.model import SlideModel
    from napari_xmag.nets.student import Student


@dataclass(frozen=True, eq=False)
class StoredModel:
    """A checked model folder; serves engines as `Networks`, of which a kept graph needs no torch.

    Attributes
    ----------
    content
        What the folder states.
    """

    content: FolderContent

    @classmethod
    def open(cls, folder: Path) -> "StoredModel":
        """Read and check a model folder.

        Raises
        ------
        ModelError
            When it is no complete, unaltered slide model.
        """
        return cls(read_folder(folder))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.info.summary}>"

    @cached_property
    def engines(self) -> dict[object, Engine]:
        """The engines that were opened for its networks, by settings."""
        return {}

    @property
    def info(self) -> ModelInfo:
        """Classes, mpp, calibration and origin."""
        return self.content.info

    @property
    def cells(self) -> int:
        """Patches that the head weighs along a side of each tile; 1 for whole tiles."""
        return int(self.content.xmag["cells"]) if self.granularity == "cells" else 1

    @property
    def granularity(self) -> Granularity:
        """What the head weighs."""
        return self.info.granularity

    def fingerprint(self) -> str:
        """Return a hash of all in the folder that decides the student's features."""
        return self.content.encoder_fingerprint

    def agree_with(self, graph: Path) -> bool:
        """Trust the fingerprint: the folder's content and the packages that read it decide all."""
        return True

    @cached_property
    def classifier(self) -> PatchClassifier | None:
        """What was taught by examples; None where the head is a network."""
        if self.info.head != "patch_classifier":
            return None
        return PatchClassifier.stated(self.content.xmag["head"], self.content.head)

    def head_arrays(self) -> Arrays | None:
        """Return the tensors of a head that is a network by name."""
        return self.content.head if self.classifier is None else None

    def student(self) -> "Student":
        """Return the student, on the CPU; see `model`."""
        if self.classifier is None:
            return self.model.student
        from napari_xmag.nets.folders.build import load_student

        return load_student(self.content.folder)

    def head(self) -> "AttentionHead | None":
        """Return the head if it is a network, on the CPU; see `model`."""
        return self.model.head if self.classifier is None else None

    @cached_property
    def model(self) -> "SlideModel":
        """The model with its networks, on the CPU; loads torch.

        Raises
        ------
        ModelError
            When the weights do not fit the description, or the folder holds another model by now.
        """
        from napari_xmag.nets.folders.build import load_folder

        model = load_folder(self.content.folder)
        if model.info.sha256 != self.info.sha256:
            raise ModelError(
                expected=f"the model {self.info.name} in {self.content.folder} as it was opened",
                found="another one by now",
                hint="Start again.",
            )
        return model
