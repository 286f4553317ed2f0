"""The known teachers: how each is loaded, what its feature is, and what its licence allows.

Needs no torch. Sources of the recipes and of the licences: docs/teachers.md.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from napari_xmag.errors import ModelError

FeatureRule = Literal["pooled", "cls", "cls_mean"]
Triple = tuple[float, float, float]

_IMAGENET: tuple[Triple, Triple] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF: tuple[Triple, Triple] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_BIOPTIMUS: tuple[Triple, Triple] = (
    (0.707223, 0.578729, 0.703617),
    (0.211883, 0.230117, 0.177517),
)
_SWIGLU = {"mlp_layer": "SwiGLUPacked", "act_layer": "silu"}
_BY_NC_ND = "CC-BY-NC-ND-4.0"
_DERIVATIVE = (
    "Its terms count models trained on its outputs as derivatives, and derivatives may not be "
    "passed on: keep the student within your own academic, non-commercial research."
)
_NOT_STATED = "Nothing is known here of its licence: read it before you use or pass on a student."


class Sharing(StrEnum):
    """Whether a student that learned from a teacher may be passed on."""

    YES = "yes"
    NONCOMMERCIAL = "non-commercially"
    ASK = "ask first"
    NO = "no"


PERMISSIVE = ("Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CC-BY-4.0")
"""Licences (SPDX) that let everyone pass on what was made with a teacher, if its notice stays."""

_PERMISSIVE_TERMS = "A permissive licence: name the teacher and keep its notice."


@dataclass(frozen=True)
class TeacherSpec:
    """How a teacher is loaded, what of it is the feature, and what its licence allows.

    Attributes
    ----------
    name
        timm name; may begin with ``hf-hub:`` or ``local-dir:``.
    feature
        ``pooled``: the network's own pooling; ``cls``: the class token; ``cls_mean``: class token
        and mean patch token side by side (register tokens left out).
    tile_px
        Side in pixels at which the teacher sees a tile, or None to feed the tile as it is cut
        (right for a convolutional teacher; a ViT wants its own size).
    mean, std
        Normalization of RGB in 0…1; None: the network's own.
    licence
        As stated by its authors; copied into the student's card.
    arguments
        Further arguments of ``timm.create_model``, JSON-able: layers by their names.
    title
        Name for people; empty: the name.
    architecture
        Name in timm, for a folder that holds weights but no config.json.
    mpp
        µm per pixel it was made for, or None where unknown.
    width
        Length of its feature, or None where unknown.
    gated
        Whether its authors want a login and consent before they hand it out.
    sharing
        Whether students may be passed on.
    terms
        The terms that bind students, in plain words.
    """

    name: str
    feature: FeatureRule = "pooled"
    tile_px: int | None = None
    mean: Triple | None = None
    std: Triple | None = None
    licence: str = "not stated"
    arguments: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    architecture: str = ""
    mpp: float | None = None
    width: int | None = None
    gated: bool = False
    sharing: Sharing = Sharing.ASK
    terms: str = _NOT_STATED

    @property
    def notice(self) -> str:
        """What a user must know before using it, in one line."""
        return (
            f"Teacher {self.title or self.name}, licence: {self.licence}. "
            f"May a student be passed on? {self.sharing.capitalize()}. {self.terms}"
        )

    def origin(self) -> dict[str, str]:
        """Return what a student's card says of its teacher; no path of this machine."""
        kind, _, place = self.name.partition(":")
        known = Path(place).name if kind == "local-dir" else self.name
        return {
            "name": self.title or known,
            "feature": self.feature,
            "licence": self.licence,
            "students_may_be_shared": str(self.sharing),
            "terms": self.terms,
        }


def _recipe(
    title: str, source: str, width: int, normalization: tuple[Triple, Triple], **more: Any
) -> TeacherSpec:
    """All of these see tiles of 224 px at 0.5 µm/px."""
    mean, std = normalization
    return TeacherSpec(
        f"hf-hub:{source}",
        title=title,
        width=width,
        mean=mean,
        std=std,
        tile_px=224,
        mpp=0.5,
        **{"feature": "cls", **more},
    )


TEACHERS: dict[str, TeacherSpec] = {
    "uni2-h": _recipe(
        "UNI2-h",
        "MahmoodLab/UNI2-h",
        1536,
        _IMAGENET,
        architecture="vit_giant_patch14_224",
        arguments={
            "img_size": 224,
            "patch_size": 14,
            "depth": 24,
            "num_heads": 24,
            "init_values": 1e-5,
            "embed_dim": 1536,
            "mlp_ratio": 2.66667 * 2,
            "no_embed_class": True,
            **_SWIGLU,
            "reg_tokens": 8,
            "dynamic_img_size": True,
        },
        licence=_BY_NC_ND,
        gated=True,
        sharing=Sharing.NO,
        terms=_DERIVATIVE,
    ),
    "virchow2": _recipe(
        "Virchow2",
        "paige-ai/Virchow2",
        2560,
        _IMAGENET,
        feature="cls_mean",
        architecture="vit_huge_patch14_224",
        arguments={
            "img_size": 224,
            "init_values": 1e-5,
            "reg_tokens": 4,
            "mlp_ratio": 5.3375,
            "global_pool": "",
            "dynamic_img_size": True,
            **_SWIGLU,
        },
        licence=_BY_NC_ND,
        gated=True,
        sharing=Sharing.NO,
        terms=_DERIVATIVE,
    ),
    "h-optimus-0": _recipe(
        "H-optimus-0",
        "bioptimus/H-optimus-0",
        1536,
        _BIOPTIMUS,
        architecture="vit_giant_patch14_reg4_dinov2",
        arguments={"img_size": 224, "init_values": 1e-5, "dynamic_img_size": False},
        licence="Apache-2.0",
        gated=True,
        sharing=Sharing.YES,
        terms="Students may be passed on and sold; name the teacher.",
    ),
    "h-optimus-1": _recipe(
        "H-optimus-1",
        "bioptimus/H-optimus-1",
        1536,
        _BIOPTIMUS,
        architecture="vit_giant_patch14_reg4_dinov2",
        arguments={"img_size": 224, "init_values": 1e-5, "dynamic_img_size": False},
        licence=_BY_NC_ND,
        gated=True,
        terms="Non-commercial, no derivatives passed on. Whether a student is a derivative is said "
        "in the terms you accept when you fetch it: ask Bioptimus before you pass one on.",
    ),
    "h0-mini": _recipe(
        "H0-mini",
        "bioptimus/H0-mini",
        1536,
        _BIOPTIMUS,
        feature="cls_mean",
        architecture="vit_base_patch14_reg4_dinov2",
        arguments={"img_size": 224, "init_values": 1e-5, "mlp_ratio": 2.66667 * 2, **_SWIGLU},
        licence=_BY_NC_ND,
        gated=True,
        terms="Non-commercial, no derivatives passed on. Whether a student is a derivative is said "
        "in the terms you accept when you fetch it: ask Bioptimus before you pass one on.",
    ),
    "prov-gigapath": _recipe(
        "Prov-GigaPath",
        "prov-gigapath/prov-gigapath",
        1536,
        _IMAGENET,
        architecture="vit_giant_patch14_dinov2",
        arguments={"img_size": 224, "patch_size": 16},
        licence="Apache-2.0",
        gated=True,
        terms="Published under Apache-2.0, but handed out for research only: read what you agreed "
        "to when you fetched it, and ask its authors before you sell or pass on a student.",
    ),
    "midnight-12k": _recipe(
        "Midnight-12k",
        "kaiko-ai/midnight",
        1536,
        _HALF,
        licence="MIT",
        sharing=Sharing.YES,
        terms="Students may be passed on and sold; name the teacher.",
    ),
    "phikon-v2": _recipe(
        "Phikon-v2",
        "owkin/phikon-v2",
        1024,
        _IMAGENET,
        licence="Owkin non-commercial licence",
        sharing=Sharing.NONCOMMERCIAL,
        terms="For non-profit research only. What results from its use may be passed on for "
        "non-commercial use, under the same terms.",
    ),
}
"""The known teachers by the name that ``teacher.name`` of a configuration may say."""


def teacher_spec(name: str, folder: str | Path | None = None, **given: Any) -> TeacherSpec:
    """Return the recipe of a known teacher, or that of any timm network.

    Parameters
    ----------
    name
        One of `TEACHERS`, a timm name, ``hf-hub:OWNER/NAME`` or ``local-dir:FOLDER``.
    folder
        Where a known teacher's files lie already; otherwise they come from the hub.
    given
        Attributes of `TeacherSpec` that win over the recipe; None leaves the recipe's.
        ``arguments`` are merged.

    Raises
    ------
    ModelError
        When a folder is given for a teacher that is not known.
    """
    known = TEACHERS.get(name.lower())
    if known is None and folder is not None:
        raise ModelError(
            expected="a known teacher for the weights in that folder",
            found=repr(name),
            hint=f"Name one of {', '.join(TEACHERS)}, or write local-dir:FOLDER as its name.",
        )
    spec = known or TeacherSpec(name)
    if folder is not None:
        spec = replace(spec, name=f"local-dir:{folder}")
    changes = {key: value for key, value in given.items() if value is not None}
    changes["arguments"] = spec.arguments | changes.get("arguments", {})
    if known is None and changes.get("licence") in PERMISSIVE:
        changes = {"sharing": Sharing.YES, "terms": _PERMISSIVE_TERMS} | changes
    return replace(spec, **changes)
