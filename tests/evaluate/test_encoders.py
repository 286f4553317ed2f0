"""How the networks of an evaluation are loaded and read."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from napari_xmag.evaluate.config import EncoderConfig
from napari_xmag.evaluate.encoders import load
from napari_xmag.nets.encoder import save_encoder
from napari_xmag.nets.student import StudentSpec, build_student


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a student that is read by the means of its last two stages."""
    folder = tmp_path_factory.mktemp("encoders") / "student"
    torch.manual_seed(0)
    network = build_student("resnet10t", StudentSpec(2.0, 128, layers=2))
    save_encoder(network, folder, licence="MIT", origin={})
    return folder


def test_a_student_is_read_as_the_settings_say(student: Path) -> None:
    stated = load(EncoderConfig(name="a", student=student))
    read = load(EncoderConfig(name="b", student=student, embedding="avg+std"))
    assert (stated.spec.embedding, stated.dim) == ("avg", 256 + 512)
    assert (read.spec.embedding, read.dim) == ("avg+std", 256 + 256 + 512)
    assert not read.training
    tiles = torch.randint(0, 256, (2, 3, 128, 128)).byte()
    torch.testing.assert_close(read(tiles).cells, stated(tiles).cells)
    torch.testing.assert_close(read(tiles).embedding[:, :256], stated(tiles).embedding[:, :256])


def test_a_plain_network_is_read_as_the_settings_say(student: Path) -> None:
    sizes = {"mpp": 2.0, "tile_px": 128, "layers": 3}
    plain = EncoderConfig(name="a", student=student, embedding="avg+std", **sizes)
    assert load(plain).dim == 2 * 128 + 2 * 256 + 512


def test_deviations_of_a_plain_network_need_two_layers(student: Path) -> None:
    sizes = {"mpp": 2.0, "tile_px": 128, "embedding": "avg+std"}
    with pytest.raises(ValidationError, match="needs layers of 2 or more"):
        EncoderConfig(name="a", student=student, **sizes)


def test_only_students_are_read_otherwise() -> None:
    with pytest.raises(ValidationError, match="embedding is for a model or a student"):
        EncoderConfig(name="a", shape="resnet10t", mpp=2.0, tile_px=64, embedding="avg+std")
