"""Precision, memory and compilation of a student that learns; what cannot be is said."""

import pytest
import torch
from torch import nn

from napari_xmag.distill.computing import (
    compile_student,
    learning_autocast,
    recompute_activations,
    share_batch_norms,
)
from napari_xmag.errors import ConfigError
from napari_xmag.learn.distributed import Processes
from tests.nets.students import CASES

CPU = torch.device("cpu")
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def test_precision_as_asked_for() -> None:
    with learning_autocast(CPU, "bfloat16")():
        assert torch.get_autocast_dtype("cpu") == torch.bfloat16
        assert torch.is_autocast_enabled("cpu")
    with learning_autocast(CPU, "float32")():
        assert not torch.is_autocast_enabled("cpu")
    with pytest.raises(ConfigError, match="float16 on cpu"):
        learning_autocast(CPU, "float16")


@pytest.mark.gpu
@CUDA
def test_float16_is_for_gpus() -> None:
    with learning_autocast(torch.device("cuda"), "float16")():
        assert torch.get_autocast_dtype("cuda") == torch.float16


@pytest.mark.parametrize("case", ["vit-cls", "mobilenet"])
def test_recomputed_activations_give_the_same_gradients(case: str) -> None:
    gradients = []
    for recompute in (False, True):
        torch.manual_seed(0)
        student = CASES[case].student().eval()
        if recompute:
            recompute_activations(student)
        side = student.spec.tile_px
        random = torch.Generator().manual_seed(1)
        pixels = torch.randint(0, 255, (2, 3, side, side), generator=random, dtype=torch.uint8)
        student(pixels).embedding.square().sum().backward()
        gradients.append([p.grad for p in student.parameters() if p.grad is not None])
    for kept, again in zip(*gradients, strict=True):
        torch.testing.assert_close(again, kept)


def test_a_network_that_cannot_recompute_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    student = CASES["vit-cls"].student()
    monkeypatch.delattr(type(student.backbone), "set_grad_checkpointing")
    with pytest.raises(ConfigError, match=student.architecture):
        recompute_activations(student)


def test_a_compiler_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def compile(self: nn.Module) -> None:
        raise RuntimeError("No working C++ compiler found\nand much more")

    monkeypatch.setattr(nn.Module, "compile", compile)
    with pytest.raises(ConfigError, match=r"No working C\+\+ compiler found\. Set run\.compile"):
        compile_student(CASES["vit-cls"].student(), learning_autocast(CPU, "float32"))


def test_trying_the_compiler_leaves_the_student_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.Module, "compile", lambda self: None)
    student = CASES["mobilenet"].student().train()
    before = {name: value.clone() for name, value in student.state_dict().items()}
    compile_student(student, learning_autocast(CPU, "float32"))
    assert student.training
    assert all(parameter.grad is None for parameter in student.parameters())
    assert all(torch.equal(value, before[n]) for n, value in student.state_dict().items())


def test_batch_norms_are_shared_only_where_there_are_any_to_share() -> None:
    two = Processes(0, 2)
    share_batch_norms(CASES["vit-cls"].student(), CPU, two, frozen=False)
    mobilenet = CASES["mobilenet"].student()
    share_batch_norms(mobilenet, CPU, two, frozen=True)
    share_batch_norms(mobilenet, CPU, Processes(), frozen=False)
    with pytest.raises(ConfigError, match="freeze_norm"):
        share_batch_norms(mobilenet, CPU, two, frozen=False)


@pytest.mark.gpu
@CUDA
def test_shared_batch_norms_keep_their_names_on_gpus() -> None:
    student = CASES["mobilenet"].student()
    names = list(student.state_dict())
    share_batch_norms(student, torch.device("cuda"), Processes(0, 2), frozen=False)
    assert list(student.state_dict()) == names
    assert any(isinstance(m, nn.SyncBatchNorm) for m in student.modules())
