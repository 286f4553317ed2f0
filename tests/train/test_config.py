"""Settings of a training that depend on its cohort."""

import pytest

from napari_xmag.train.config import TrainConfig


@pytest.mark.parametrize(
    ("settings", "from_regions", "epochs"),
    [
        ({}, False, 20),
        ({}, True, 40),
        ({"end_to_end": {"head_epochs": 7}}, True, 7),
        ({"end_to_end": {"head_epochs": 70}}, True, 40),
        ({"fit": {"epochs": 12}}, True, 12),
        ({"fit": {"epochs": 12}}, False, 12),
    ],
)
def test_with_regions_the_head_learns_in_full_before_the_encoder_joins(
    settings: dict[str, object], from_regions: bool, epochs: int
) -> None:
    config = TrainConfig.model_validate({"mode": "end-to-end", **settings})
    settled = config.settled(from_regions=from_regions)
    assert settled.head_fit.epochs == epochs
    assert settled.end_to_end.head_epochs is not None
    assert settled.settled(from_regions=not from_regions) == settled


def test_a_head_alone_learns_in_full() -> None:
    for from_regions in (False, True):
        assert TrainConfig().settled(from_regions=from_regions).head_fit.epochs == 40
