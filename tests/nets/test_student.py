"""Any timm backbone as a student: sizes, exact cells, normalization, where it comes from."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from timm.models import save_for_hf

from napari_xmag.errors import ModelError
from napari_xmag.nets.student import (
    Student,
    StudentSpec,
    _deviation,
    _Layer,
    build_backbone,
    build_student,
)
from tests.nets.students import CASES, Case


def _tiles(side: int, count: int = 2) -> torch.Tensor:
    pixels = np.random.default_rng(1).integers(0, 256, (count, 3, side, side), dtype=np.uint8)
    return torch.from_numpy(pixels)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_kind_of_backbone_gives_embedding_and_four_by_four_cells(case: Case) -> None:
    student = case.student()
    with torch.no_grad():
        output = student(_tiles(case.tile_px))
    assert (student.dim, student.grid) == (case.dim, case.grid)
    assert output.embedding.shape == (2, case.dim)
    assert output.cells.shape == (2, student.cell_dim, 4, 4)
    assert torch.isfinite(output.embedding).all()


@pytest.mark.parametrize("name", ["vit-patch14-registers", "resnet", "swin-channels-last"])
def test_cells_lie_where_their_tokens_lie(name: str) -> None:
    """What changes in one corner of the tile changes that corner's cell most."""
    case = CASES[name]
    student, tiles = case.student(), torch.full((1, 3, case.tile_px, case.tile_px), 128).byte()
    block = case.tile_px // 4
    changed = tiles.clone()
    # Row 0, column 3: a transposed or flipped grid would light up elsewhere.
    changed[:, :, :block, 3 * block :] = torch.randint(0, 256, (3, block, block)).byte()
    with torch.no_grad():
        moved = (student(changed).cells - student(tiles).cells).norm(dim=1)[0]
    assert divmod(int(moved.argmax()), 4) == (0, 3)


def test_cells_are_plain_means_of_their_tokens() -> None:
    case = CASES["resnet"]
    student = case.student()
    with torch.no_grad():
        tiles = _tiles(case.tile_px)
        images = (tiles / 255 - torch.tensor(student.spec.mean).view(3, 1, 1)) / torch.tensor(
            student.spec.std
        ).view(3, 1, 1)
        tokens = student.backbone.forward_features(images)
        output = student(tiles)
    torch.testing.assert_close(output.cells[:, :, 1, 2], tokens[:, :, 2:4, 4:6].mean((2, 3)))
    torch.testing.assert_close(output.embedding, tokens.mean((2, 3)))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_earlier_layers_stand_before_the_last_one(case: Case) -> None:
    one = case.student()
    two = Student(one.backbone, replace(one.spec, layers=2))
    tiles = _tiles(case.tile_px)
    with torch.no_grad():
        alone, both = one(tiles), two(tiles)
    assert (two.dim, two.cell_dim) == (both.embedding.shape[1], both.cells.shape[1])
    assert two.dim > one.dim
    assert both.cells.shape[2:] == (4, 4)
    torch.testing.assert_close(both.embedding[:, -one.dim :], alone.embedding)
    torch.testing.assert_close(both.cells[:, -one.cell_dim :], alone.cells)
    assert torch.isfinite(both.embedding).all()


def test_cells_of_earlier_layers_lie_where_those_of_the_last_one_lie() -> None:
    torch.manual_seed(0)  # of some random weights a neighbour moves more
    student = build_student("mobilenetv1_100", StudentSpec(2.0, 256, layers=3)).eval()
    assert student.dim == student.cell_dim == 256 + 512 + 1024
    tiles = torch.full((1, 3, 256, 256), 128).byte()
    changed = tiles.clone()
    changed[:, :, :64, 192:] = torch.randint(0, 256, (3, 64, 64)).byte()
    with torch.no_grad():
        moved = student(changed).cells - student(tiles).cells
    for part in moved.split([256, 512, 1024], 1):
        assert divmod(int(part.norm(dim=1).argmax()), 4) == (0, 3)


def test_more_layers_than_there_are_is_an_error_that_says_how_many() -> None:
    with pytest.raises(ModelError, match=r"9 layers can be read.*with 5"):
        build_student("mobilenetv1_100", StudentSpec(2.0, 128, layers=9))


def test_deviations_stand_behind_the_means_of_all_layers_but_the_last() -> None:
    torch.manual_seed(0)
    plain = build_student("mobilenetv1_100", StudentSpec(2.0, 128, layers=3)).eval()
    student = Student(plain.backbone, replace(plain.spec, embedding="avg+std"))
    tiles = _tiles(128)
    with torch.no_grad():
        read, means = student(tiles), plain(tiles)
        maps = [layer.grid.numpy() for layer in plain._layers(plain._normalized(tiles))]
    assert (student.dim, student.cell_dim) == (256 + 256 + 512 + 512 + 1024, plain.cell_dim)
    torch.testing.assert_close(read.cells, means.cells)
    parts = read.embedding.split([256, 256, 512, 512, 1024], 1)
    torch.testing.assert_close(torch.cat(parts[::2], 1), means.embedding)
    for part, grid in zip(parts[1::2], maps, strict=False):
        deviations = np.sqrt(grid.var((2, 3)) + 1e-5)
        np.testing.assert_allclose(part.numpy(), deviations, rtol=1e-3, atol=1e-5)


def test_deviations_of_an_even_map_can_be_learned_from() -> None:
    grid = torch.full((1, 3, 4, 4), 2.0, requires_grad=True)
    _deviation(grid, grid.mean((2, 3))).sum().backward()
    assert grid.grad is not None
    assert torch.isfinite(grid.grad).all()


def test_deviations_of_large_values_stay_finite_in_half_precision() -> None:
    spec = StudentSpec(2.0, 128, layers=2, embedding="avg+std")
    student = build_student("mobilenetv1_100", spec)
    large = torch.randn(1, 8, 4, 4).mul(1000).half()
    layers = [_Layer(large.new_empty(1, 0, 8), grid) for grid in (large, large)]
    deviations = student._embeddings(layers)[1]
    assert deviations.dtype == torch.float16
    expected = large.float().std((2, 3), correction=0)
    torch.testing.assert_close(deviations.float(), expected, rtol=1e-2, atol=1)


def test_deviations_need_a_layer_before_the_last() -> None:
    with pytest.raises(ModelError, match="two layers or more"):
        StudentSpec(2.0, 128, embedding="avg+std")


def test_registers_are_neither_embedding_nor_cells() -> None:
    case = CASES["vit-patch14-registers"]
    student = case.student()
    tokens = torch.arange(1 + 4 + 64.0).view(1, -1, 1).expand(1, -1, 48)
    prefix, grid = student._split(tokens)
    assert prefix[0, 0, 0] == 0
    assert grid[0, 0, 0, 0] == 5
    assert grid[0, 0, 1, 0] == 5 + 8


def test_bytes_and_unit_floats_mean_the_same() -> None:
    student = CASES["vit-cls"].student()
    tiles = _tiles(64)
    with torch.no_grad():
        torch.testing.assert_close(
            student(tiles).embedding, student(tiles.float() / 255).embedding, rtol=1e-4, atol=1e-5
        )


def test_grid_that_does_not_divide_is_refused_and_names_tile_sizes_that_do() -> None:
    with pytest.raises(ModelError, match=r"7×7 tokens.*Use tiles of 128 or 256 px"):
        build_student("mobilenetv1_100", StudentSpec(2.0, 224))
    with pytest.raises(ModelError, match="Use tiles of 192 or 256 px"):
        build_student("vit_tiny_patch16_224", StudentSpec(2.0, 224), depth=1)


def test_padded_feature_map_is_refused_although_its_size_divides() -> None:
    """250 px give 8×8 too, but then the cells do not lie on quarters of the tile."""
    with pytest.raises(ModelError, match="multiples of 128 px"):
        build_student("mobilenetv1_100", StudentSpec(2.0, 250))


def test_measuring_leaves_training_mode_and_batch_statistics_alone() -> None:
    backbone = build_backbone("mobilenetv1_100").train()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    Student(backbone, StudentSpec(2.0, 128))
    assert backbone.training
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


def test_class_token_is_demanded_where_it_is_read() -> None:
    with pytest.raises(ModelError, match="class token"):
        build_student("resnet10t", StudentSpec(2.0, 128, embedding="cls"))


@pytest.mark.parametrize(
    "wrong",
    [{"mpp": 0}, {"tile_px": -1}, {"std": (1, 0, 1)}, {"embedding": "max"}, {"layers": 0}],
)
def test_impossible_specification_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ModelError):
        StudentSpec(**({"mpp": 2.0, "tile_px": 64} | wrong))  # type: ignore[arg-type]


def test_unknown_network_is_an_error_that_names_it() -> None:
    with pytest.raises(ModelError, match="no_such_net"):
        build_backbone("no_such_net")


def test_local_folder_with_pickled_weights_only_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architecture": "resnet10t"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04never read")
    with pytest.raises(ModelError, match="never read"):
        build_backbone(f"local-dir:{tmp_path}")


def test_hub_source_asks_for_safe_files_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import save_file

    network = build_backbone("resnet10t")
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    config = {"architecture": "resnet10t", "num_classes": 0, "pretrained_cfg": {"num_classes": 0}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    asked = {}

    def download(repository: str, **how: object) -> str:
        asked[repository] = how
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    student = build_student("hf-hub:someone/net@v1", StudentSpec(2.0, 128))
    assert asked["someone/net"]["revision"] == "v1"
    assert asked["someone/net"]["allow_patterns"] == ["config.json", "model.safetensors"]
    for key, value in network.state_dict().items():
        assert torch.equal(student.backbone.state_dict()[key], value)


def test_a_folder_saved_by_timm_with_its_classifier_is_read(tmp_path: Path) -> None:
    network = timm.create_model("resnet10t", num_classes=5, in_chans=3)
    network.reset_classifier(0)
    save_for_hf(network, tmp_path, safe_serialization=True)
    assert "num_classes" in json.loads((tmp_path / "config.json").read_text())["model_args"]

    student = build_student(f"local-dir:{tmp_path}", StudentSpec(2.0, 128))

    for key, value in network.state_dict().items():
        assert torch.equal(student.backbone.state_dict()[key], value)


@pytest.mark.real_data
def test_real_network_is_the_one_its_folder_holds(real_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(real_data / "teachers" / "mobilenetv1_100_in1k", folder)
    half = (0.5, 0.5, 0.5)
    spec = StudentSpec(2.0, 256, mean=half, std=half)
    student = build_student(f"local-dir:{folder}", spec).eval()
    assert (student.dim, student.grid, student.architecture) == (1024, 8, "mobilenetv1_100")
    assert student.model_args["pad_type"] == "same"
    with torch.no_grad():
        noise, flat = _tiles(256), torch.full((2, 3, 256, 256), 240).byte()
        similar = torch.cosine_similarity(student(noise).embedding, student(flat).embedding)
    # Trained weights tell noise from glass; random ones hardly do.
    assert similar.max() < 0.6
