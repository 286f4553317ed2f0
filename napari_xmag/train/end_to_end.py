"""Encoder and head together, on every tile of a slide, with the memory of a few.

The gradient of a slide's loss reaches the encoder through each of its tiles, so plain autograd
keeps the activations of all of them. Here tiles go through encoder and head in chunks; what is
kept of a chunk are the scores of its places: an attention logit and the evidence per class, a few
numbers. On the way back each chunk is read and encoded again, with the random numbers it had, and
its part of the gradient is added: gradient caching (Gao et al. 2021, arXiv 2101.06983) at the
narrowest place of the network. The result is that of plain autograd on the whole bag.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from napari_xmag.mil.head_training import PredictedSlide
from napari_xmag.mil.task import HeadTask, Scores
from napari_xmag.nets.device import DeviceBatch, encode_bag
from napari_xmag.nets.info import Granularity
from napari_xmag.nets.student import Student
from napari_xmag.train.augment import TileChange
from napari_xmag.train.tiles import Indices, Prefetcher, ReadsTiles, SlideTiles


@dataclass(frozen=True, eq=False)
class TileBag:
    """A slide as it takes part in one step.

    Attributes
    ----------
    tiles
        Its tiles.
    label
        Index of its class.
    chosen
        Int (k,), the tiles that take part.
    view
        How they are changed, or None for as they are.
    patches
        Int64 (T, N), the class of each cell of each tile, below zero where nobody named it; None
        for none.
    """

    tiles: SlideTiles
    label: int
    chosen: Indices
    view: TileChange | None = None
    patches: NDArray[np.int64] | None = None

    def turned(self, cells: NDArray[Any], part: Indices) -> Tensor:
        """Return what is known of the cells (T, N) of some tiles, turned as the tiles are."""
        chosen = torch.from_numpy(cells[part])
        # a whole tile is its only cell
        return chosen if self.view is None else self.view.cells(chosen, part)

    def patch_labels(self) -> Tensor | None:
        """Return the classes int64 (P,) of the patches that take part, in the order of scores."""
        if self.patches is None:
            return None
        return self.turned(self.patches, self.chosen)[self.turned(self.tiles.tissue, self.chosen)]


@dataclass(frozen=True, eq=False)
class BagBatch:
    """Slides of one step, and what is needed to read them.

    Attributes
    ----------
    bags
        The slides of this process.
    weight, slides
        As in `napari_xmag.mil.task.HeadBatch`.
    reader, thread
        Pixels come from ``reader``, in the thread of ``thread``.
    """

    bags: Sequence[TileBag]
    weight: float
    reader: ReadsTiles
    thread: ThreadPoolExecutor
    slides: float = 1.0


class EndToEndTask(nn.Module):
    """Student and head as one task for `napari_xmag.learn.fit`, exact at constant memory.

    The student's batch norms keep their statistics: those of some tiles of one slide would undo
    what it knows of tissue, and a tile's features would depend on its chunk.

    Parameters
    ----------
    student
        Learns.
    slides
        The head's task, trained on the frozen features of this student; learns on.
    granularity
        What the head weighs.
    chunk
        How many tiles are encoded at once; shrinks when memory runs out.
    """

    anchor: Tensor

    def __init__(
        self, student: Student, slides: HeadTask, granularity: Granularity, chunk: DeviceBatch
    ) -> None:
        super().__init__()
        self.student, self.slides = student, slides
        self.granularity, self.chunk = granularity, chunk
        # Tells autograd that a chunk has something to learn, though no tensor enters it.
        self.register_buffer("anchor", torch.zeros(0, device=chunk.device), persistent=False)

    def train(self, mode: bool = True) -> "EndToEndTask":
        """Set the mode of all modules; batch norms of the student stay in evaluation mode."""
        super().train(mode)
        for module in self.student.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def forward(self, batch: BagBatch) -> dict[str, Tensor]:
        """Return what `HeadTask.losses` says of the slides."""
        scores = self.slide_scores(batch.bags, batch.reader, batch.thread)
        labels = [bag.label for bag in batch.bags]
        return self.slides.losses(scores, labels, [self._labels(bag) for bag in batch.bags], batch)

    def judged(
        self, bag: TileBag, reader: ReadsTiles, thread: ThreadPoolExecutor
    ) -> PredictedSlide:
        """Return what the head says of one slide."""
        (scores,) = self.slide_scores([bag], reader, thread)
        logits = self.slides.head.pool(*scores)[2]
        return PredictedSlide.of(logits, bag.label, scores[1], bag.patch_labels())

    def slide_scores(
        self, bags: Sequence[TileBag], reader: ReadsTiles, thread: ThreadPoolExecutor
    ) -> list[Scores]:
        """Score all patches of slides; with gradients where they are enabled."""
        chunks = [(bag, part) for bag in bags for part in self._parts(bag.chosen)]
        ahead = Prefetcher(reader, thread, [(bag.tiles, part) for bag, part in chunks])
        score = self._checkpointed if torch.is_grad_enabled() else self._scored
        scores = [
            (bag, score(ahead, number, bag, part)) for number, (bag, part) in enumerate(chunks)
        ]
        return [_joined(part) for _, part in groupby(scores, lambda pair: id(pair[0]))]

    def shrink(self, error: BaseException) -> None:
        """Encode half as many tiles at once from now on.

        Raises
        ------
        ModelError
            When a single tile does not fit.
        """
        self.chunk.halve(error)

    def _parts(self, chosen: Indices) -> Iterator[Indices]:
        for start in range(0, len(chosen), self.chunk.size):
            yield chosen[start : start + self.chunk.size]

    def _labels(self, bag: TileBag) -> Tensor | None:
        labels = bag.patch_labels()
        return None if labels is None else labels.to(self.anchor.device)

    def _checkpointed(self, ahead: Prefetcher, number: int, bag: TileBag, part: Indices) -> Scores:
        anchor = self.anchor.detach().requires_grad_()

        def again(_anchor: Tensor) -> Scores:
            # Checkpoints run without gradients first, and with them on the way back.
            pixels = ahead.take(number, back=torch.is_grad_enabled())
            return self.scores(self._images(pixels), bag, part)

        # The variant that keeps no part of the graph of a chunk: the other one keeps its nodes.
        scores: Scores = checkpoint(again, anchor, use_reentrant=True, preserve_rng_state=True)
        return scores

    def scores(self, pixels: Tensor, bag: TileBag, part: Indices) -> Scores:
        """Score the patches of some tiles of a slide, with gradients.

        Parameters
        ----------
        pixels
            uint8 (k, 3, tile_px, tile_px) on the device.
        part
            Int (k,), which tiles these are.
        """
        tissue = bag.turned(bag.tiles.tissue, part).to(pixels.device)
        images = pixels if bag.view is None else bag.view.images(pixels, part)
        output = self.student(images.contiguous(memory_format=torch.channels_last))
        if self.granularity == "tiles":
            features = output.embedding.unsqueeze(1)
        else:
            features = output.cells.flatten(2).transpose(1, 2)
        return self._patches(features[tissue].to(self.slides.mean.dtype))

    def _scored(self, ahead: Prefetcher, number: int, bag: TileBag, part: Indices) -> Scores:
        """Score tiles as they are, as an analysis does."""
        pixels = ahead.take(number, back=False)
        features = encode_bag(self.student, pixels, self.chunk, self.granularity)
        return self._patches(features[torch.from_numpy(bag.tiles.tissue[part])])

    def _patches(self, features: Tensor) -> Scores:
        # Attention logits need more digits than half precision has; an analysis computes so too.
        with torch.autocast(features.device.type, enabled=False):
            return self.slides.scores(features)

    def _images(self, pixels: np.ndarray) -> Tensor:
        return torch.from_numpy(pixels).to(self.anchor.device).permute(0, 3, 1, 2)


def _joined(parts: Iterator[tuple[TileBag, Scores]]) -> Scores:
    """Put the scores of the chunks of a slide together."""
    logits, evidence = zip(*(scores for _, scores in parts), strict=True)
    return torch.cat(logits), torch.cat(evidence)


def layer_scales(task: EndToEndTask, encoder_rate: float, layer_decay: float) -> dict[str, float]:
    """Return the factor of the learning rate of each parameter of the student, by its name.

    The last layer learns at ``encoder_rate``, each layer before it at ``layer_decay`` of the one
    that follows (Clark et al. 2020, arXiv 2003.10555); layers as timm groups them.
    """
    from timm.optim import param_groups_layer_decay

    groups = param_groups_layer_decay(task.student.backbone, layer_decay=layer_decay)
    shares = {id(parameter): group["lr_scale"] for group in groups for parameter in group["params"]}
    return {
        f"student.backbone.{name}": encoder_rate * shares[id(parameter)]
        for name, parameter in task.student.backbone.named_parameters()
        if parameter.requires_grad
    }
