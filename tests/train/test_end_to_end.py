"""Gradients in chunks are those of plain autograd on the whole bag, at the memory of a chunk."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_xmag.errors import ModelError
from napari_xmag.learn.fit import Fit, FitConfig
from napari_xmag.nets.info import Granularity
from napari_xmag.nets.student import StudentOutput
from napari_xmag.train.augment import draw_view
from napari_xmag.train.config import AugmentConfig
from napari_xmag.train.end_to_end import BagBatch, EndToEndTask, TileBag, layer_scales
from tests.train.tile_bags import (
    TILE_PX,
    DrawnTiles,
    batch_of,
    drawn_labels,
    drawn_slide,
    tiny_task,
)

STRONG = AugmentConfig(stain=0.2, blur_share=1.0)


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def batch(thread: ThreadPoolExecutor, granularity: Granularity) -> BagBatch:
    """Two slides of 7 and 4 tiles, changed; of the second, one tile takes no part."""
    cells = 2 if granularity == "cells" else 1
    bags = []
    for number, (name, count) in enumerate((("a", 7), ("bb", 4))):
        tiles = drawn_slide(name, count, cells)
        view = draw_view(STRONG, count, (0, 1, number))
        chosen = np.arange(count)[-3 if number else None :]
        bags.append(TileBag(tiles, number, chosen, view, drawn_labels(tiles)))
    return batch_of(bags, DrawnTiles(), thread)


def gradients(task: EndToEndTask, loss: Tensor) -> dict[str, Tensor]:
    task.zero_grad(set_to_none=True)
    loss.backward()
    return {name: p.grad.clone() for name, p in task.named_parameters() if p.grad is not None}


def turned_cells(cells: np.ndarray, turn: int) -> np.ndarray:
    """What is known of the cells of one tile, after one of the eight turns."""
    side = round(len(cells) ** 0.5)
    grid = np.rot90(cells.reshape(side, side), turn % 4)
    return (grid[:, ::-1] if turn >= 4 else grid).ravel()


def plain_patch_loss(task: EndToEndTask, bag: TileBag, evidence: Tensor) -> Tensor:
    """The mean over the labelled patches of a slide, each tile turned by itself."""
    assert bag.view is not None
    assert bag.patches is not None
    labels: list[int] = []
    for tile in bag.chosen:
        turn = int(bag.view.turns[tile])
        tissue = turned_cells(bag.tiles.tissue[tile], turn)
        labels += turned_cells(bag.patches[tile], turn)[tissue].tolist()
    assert len(labels) == len(evidence)
    known = [place for place, label in enumerate(labels) if label >= 0]
    assert 0 < len(known) < len(labels)
    loss = torch.nn.functional.cross_entropy(
        evidence[known],
        torch.tensor(labels)[known],
        weight=torch.tensor([3.0, 0.4], dtype=evidence.dtype),
        label_smoothing=0.1,
        reduction="sum",
    )
    return loss / len(known)


def plain_loss(task: EndToEndTask, batch: BagBatch) -> Tensor:
    """The same slides with all activations kept: no checkpoint, no reading ahead."""
    logits, of_patches = [], []
    for bag in batch.bags:
        scores = []
        for part in task._parts(bag.chosen):
            pixels = torch.from_numpy(batch.reader.read(bag.tiles, part)).permute(0, 3, 1, 2)
            scores.append(task.scores(pixels, bag, part))
        attention, evidence = zip(*scores, strict=True)
        logits.append(task.slides.head.pool(torch.cat(attention), torch.cat(evidence))[2])
        of_patches.append(plain_patch_loss(task, bag, torch.cat(evidence)))
    labels = torch.tensor([bag.label for bag in batch.bags])
    loss = torch.nn.functional.cross_entropy(
        torch.stack(logits),
        labels,
        weight=task.slides.weights,
        label_smoothing=0.1,
        reduction="sum",
    )
    return loss / batch.weight + torch.stack(of_patches).sum() / len(batch.bags)


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        scale = value.abs().max().item()
        assert scale > 0, name
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("granularity", ["tiles", "cells"])
@pytest.mark.parametrize("kind", ["resnet", "vit"])
def test_gradients_are_those_of_plain_autograd(
    kind: str, granularity: Granularity, precision: str, batch: BagBatch
) -> None:
    """Of labels of slides and of patches, with dropout, drop path, stain changes, turns and blur.

    Where autocast keeps one rounded copy of a weight for all chunks, plain autograd adds up their
    gradients in bfloat16; chunks add theirs in float32. So plain autograd goes without that copy.
    """
    task = tiny_task(kind, granularity).train()

    def half() -> AbstractContextManager[object]:
        if precision == "float32":
            return nullcontext()
        return torch.autocast("cpu", torch.bfloat16, cache_enabled=False)

    torch.manual_seed(5)
    with half():
        loss = plain_loss(task, batch)
    expected = gradients(task, loss)
    torch.manual_seed(5)
    with half():
        output = task(batch)
    assert output["loss"].item() == pytest.approx(loss.item(), rel=1e-6)
    assert_same(gradients(task, output["loss"]), expected)


@pytest.mark.parametrize("granularity", ["tiles", "cells"])
@pytest.mark.parametrize("kind", ["resnet", "vit"])
def test_the_chunk_changes_nothing(kind: str, granularity: Granularity, batch: BagBatch) -> None:
    found = []
    for chunk in (1, 2, 100):
        task = tiny_task(kind, granularity, chunk=chunk, dropout=0.0).double().train()
        task.student.eval()  # masks of dropout are drawn chunk by chunk
        found.append(gradients(task, task(batch)["loss"]))
    assert_same(found[0], found[2])
    assert_same(found[1], found[2])


def test_the_tissue_mask_turns_with_its_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    """In every turn of a tile the head sees its dark cells, which are the tissue, and no glass."""
    task = tiny_task("resnet", "cells").eval()
    pixels = torch.full((8, 3, TILE_PX, TILE_PX), 255, dtype=torch.uint8)
    half = TILE_PX // 2
    pixels[:, :, :half, half:] = 0  # the upper right cell
    tissue = np.tile([False, True, False, False], (8, 1))
    tiles = replace(drawn_slide("a", 8, 2), tissue=tissue)
    view = replace(draw_view(AugmentConfig(stain=0, blur_share=0), 8, (0,)), turns=np.arange(8))

    def brightness(images: Tensor) -> StudentOutput:
        cells = torch.nn.functional.avg_pool2d(images, half)
        return StudentOutput(cells.mean((2, 3)), cells)

    monkeypatch.setattr(task.student, "forward", brightness)
    monkeypatch.setattr(task.slides, "scores", lambda features: (features.mean(1), features))
    order = np.array([3, 7, 0, 1, 6, 2, 5, 4])
    _, seen = task.scores(pixels, TileBag(tiles, 0, order, view), order)
    assert seen.shape == (8, 3)
    assert seen.max().item() == 0


@pytest.mark.parametrize("granularity", ["cells"])
def test_norms_keep_their_statistics(batch: BagBatch) -> None:
    task = tiny_task("resnet", "cells").train()
    before = {name: value.clone() for name, value in task.student.named_buffers()}
    task(batch)["loss"].backward()
    assert before
    for name, value in task.student.named_buffers():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("granularity", ["tiles"])
def test_pixels_are_read_there_and_back(batch: BagBatch) -> None:
    task = tiny_task("resnet", "tiles").train()
    reader = batch.reader
    assert isinstance(reader, DrawnTiles)
    task(batch)["loss"].backward()
    there = [[0, 1, 2], [3, 4, 5], [6], [1, 2, 3]]
    assert reader.reads == there + there[::-1]


@pytest.mark.parametrize("granularity", ["cells"])
def test_judging_is_what_an_analysis_computes(batch: BagBatch, thread: ThreadPoolExecutor) -> None:
    task = tiny_task("resnet", "cells").eval()
    bag = batch.bags[0]
    labels = drawn_labels(bag.tiles)
    plain = TileBag(bag.tiles, bag.label, np.arange(len(bag.tiles)), patches=labels)
    with torch.inference_mode():
        judged = task.judged(plain, batch.reader, thread)
        pixels = torch.from_numpy(batch.reader.read(bag.tiles, plain.chosen)).permute(0, 3, 1, 2)
        cells = task.student(pixels).cells.flatten(2).transpose(1, 2)
        features = cells[torch.from_numpy(bag.tiles.tissue)]
        expected = task.slides.folded()(features)
    np.testing.assert_allclose(judged.logits, expected.logits, rtol=1e-4, atol=1e-5)
    known = labels[bag.tiles.tissue]
    np.testing.assert_array_equal(judged.patches, known[known >= 0])
    evidence = expected.patch_evidence.numpy()[known >= 0]
    np.testing.assert_allclose(judged.evidence, evidence, rtol=1e-4, atol=1e-5)


def test_later_layers_learn_faster() -> None:
    task = tiny_task("vit", "tiles")
    scales = layer_scales(task, 0.5, 0.5)
    assert scales["student.backbone.blocks.1.attn.qkv.weight"] == 0.5
    assert scales["student.backbone.blocks.0.attn.qkv.weight"] == 0.25
    assert scales["student.backbone.patch_embed.proj.weight"] == 0.125
    student = {name for name, _ in task.named_parameters() if name.startswith("student.")}
    assert set(scales) == student


@pytest.mark.parametrize("granularity", ["tiles"])
def test_short_memory_halves_the_chunk_and_repeats_the_step(
    batch: BagBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that holds two tiles at once: the step is that of chunks of two from the start."""

    def trained(chunk: int, room: int) -> EndToEndTask:
        task = tiny_task("resnet", "tiles", chunk=chunk, dropout=0.0)
        forward = task.student.forward

        def small(pixels: Tensor) -> object:
            if len(pixels) > room and torch.is_grad_enabled():  # only on the way back
                raise torch.OutOfMemoryError("out of memory")
            return forward(pixels)

        monkeypatch.setattr(task.student, "forward", small)
        Fit(task, FitConfig(epochs=1, lr=1e-3), 1, nullcontext).step(batch)
        return task

    tight, wide = trained(8, 2), trained(2, 100)
    assert tight.chunk.size == 2
    for name, value in wide.state_dict().items():
        torch.testing.assert_close(tight.state_dict()[name], value)
    with pytest.raises(ModelError, match="single tile"):
        trained(8, 0)


def test_memory_does_not_grow_with_the_slide() -> None:
    """The highest memory of a process that takes a step on 60 tiles, and on ten times as many."""
    script = Path(__file__).with_name("step_of_tiles.py")
    done = subprocess.run(
        [sys.executable, str(script), "60", "600"], capture_output=True, text=True, check=True
    )
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    highest = {step["tiles"]: step["peak_mb"] for step in steps}
    # All activations of 540 tiles more would be 400 MB.
    assert highest[600] < highest[60] + 40
