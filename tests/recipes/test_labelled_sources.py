"""A student learns the labelled pictures of all sources but the one that judges it."""

import sys
from itertools import combinations
from pathlib import Path

import labelled_sources
import numpy as np
import pytest
import torch

from napari_xmag.nets.encoder import load_encoder
from tests.nets.students import CASES


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["labelled_sources.py", *map(str, words)])
    labelled_sources.main()


def test_each_source_judges_what_learned_from_the_others(
    config: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: dict[str, list[int]] = {}
    teach = labelled_sources.teach

    def noted(seen: list[list[object]], out: Path, args: object) -> None:
        learned[out.parent.name] = [len(pictures) for pictures in seen]
        teach(seen, out, args)

    monkeypatch.setattr(labelled_sources, "teach", noted)
    words = (
        config,
        tmp_path,
        "--tasks",
        "a",
        "b",
        "c",
        "--encoder",
        encoder,
        "--epochs",
        1,
        "--limit",
        17,
        "--rate",
        1e-2,
    )
    run(monkeypatch, *words)
    # b and c are of one source: neither is learned for the other; test pictures never are
    assert learned == {"without-a": [34, 34], "without-b-c": [34]}
    lines = (tmp_path / "results.md").read_text(encoding="utf-8").splitlines()[2:]
    assert [line.split(" | ")[0].strip("| ") for line in lines] == ["a", "b", "c"]
    states = [
        load_encoder(place).student.state_dict()
        for place in (encoder, *(tmp_path / name / "student" for name in learned))
    ]
    for one, other in combinations(states, 2):
        assert any(not torch.equal(one[name], other[name]) for name in one)
    learned.clear()
    run(monkeypatch, *words)  # nothing is taught again
    assert not learned


def test_heads_learn_their_own_task_and_begin_without_moving_the_encoder() -> None:
    task = labelled_sources.Sources(CASES["mobilenet"].student(), [2, 3]).train()
    kept = [b.clone() for n, b in task.student.named_buffers() if "running" in n]
    pixels = torch.randint(0, 256, (4, 3, 128, 128), dtype=torch.uint8)
    labels, tasks = torch.tensor([0, 1, 2, 0]), torch.tensor([0, 0, 1, 1])
    loss = task((pixels, labels, tasks))["loss"]
    assert loss.item() == pytest.approx((np.log(2) + np.log(3)) / 2)
    loss.backward()
    assert all(not p.grad.any() for p in task.student.parameters() if p.grad is not None)
    assert kept
    now = [b for n, b in task.student.named_buffers() if "running" in n]
    assert all(torch.equal(a, b) for a, b in zip(kept, now, strict=True))
    with torch.no_grad():
        task.heads[1].bias[:] = torch.tensor([1.0, 0.0, -1.0])
        chances = torch.tensor([1.0, 0.0, -1.0]).softmax(0)
        expected = -(2 * np.log(0.5) + chances[2].log() + chances[0].log()) / 4
        assert task((pixels, labels, tasks))["loss"].item() == pytest.approx(expected.item())


def test_an_unknown_task_is_refused(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match="There is no d; there are: a, b, c"):
        run(monkeypatch, config, tmp_path, "--tasks", "a", "d")
