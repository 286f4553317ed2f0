"""Device, precision and a batch size that gives way when memory runs out."""

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_xmag.errors import ConfigError, ModelError
from napari_xmag.memory import out_of_memory
from napari_xmag.nets import device as device_module
from napari_xmag.nets.device import (
    DeviceBatch,
    autocast,
    available_devices,
    encode,
    encode_bag,
    encode_both,
    pick_device,
    pick_dtype,
    ready_on,
)
from napari_xmag.nets.student import Student
from tests.nets.students import CASES

CPU = torch.device("cpu")


def _pixels(count: int, side: int = 64) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


class _SmallMemory(torch.nn.Module):
    """Stands in front of a backbone and runs out of memory for more than so many tiles."""

    def __init__(self, student: Student, fits: int, error: Exception) -> None:
        super().__init__()
        self.inner, self.fits, self.error = student.backbone, fits, error
        self.asked: list[int] = []

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        self.asked.append(len(images))
        if len(images) > self.fits:
            raise self.error
        return self.inner.forward_features(images)


OUT_OF_MEMORY = {
    "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    "mps": RuntimeError("MPS backend out of memory (MPS allocated: 8.99 GB)"),
    "cpu": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    "windows": RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"),
    "numpy": MemoryError("Unable to allocate 2.00 GiB"),
}


@pytest.mark.parametrize("error", OUT_OF_MEMORY.values(), ids=OUT_OF_MEMORY)
def test_batch_is_halved_until_it_fits_and_no_tile_is_lost(error: Exception) -> None:
    student, pixels = CASES["vit-cls"].student(), _pixels(11)
    expected = encode(student, pixels, DeviceBatch(CPU, 4, "float32"))
    backbone = student.backbone
    small = _SmallMemory(student, fits=3, error=error)
    student.backbone = small
    batch = DeviceBatch(CPU, 16, "float32")
    features = encode(student, pixels, batch)
    student.backbone = backbone
    # 11 tiles were asked of 16: both 16 and 8 are tried before 2 of 4 fits, and 2 is kept.
    assert (batch.size, batch.halvings) == (2, 3)
    assert small.asked == [11, 8, 4, 2, 2, 2, 2, 2, 1]
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


def test_one_tile_that_does_not_fit_is_an_error_in_words() -> None:
    student = CASES["vit-cls"].student()
    student.backbone = _SmallMemory(student, fits=0, error=OUT_OF_MEMORY["cuda"])
    with pytest.raises(ModelError, match=r"single tile.*choose the device cpu") as caught:
        encode(student, _pixels(2), DeviceBatch(CPU, 2))
    assert isinstance(caught.value.causes[0], torch.OutOfMemoryError)


def test_other_errors_are_not_mistaken_for_memory() -> None:
    student = CASES["vit-cls"].student()
    student.backbone = _SmallMemory(student, fits=0, error=RuntimeError("shapes do not match"))
    batch = DeviceBatch(CPU, 2)
    with pytest.raises(RuntimeError, match="shapes"):
        encode(student, _pixels(2), batch)
    assert batch.size == 2


def test_a_real_allocation_failure_is_recognized() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**58, dtype=torch.uint8)
    assert out_of_memory(caught.value)


def test_features_are_those_of_the_student_whatever_the_batch() -> None:
    student, pixels = ready_on(CASES["mobilenet"].student(), CPU), _pixels(5, 128)
    with torch.no_grad():
        expected = student(torch.from_numpy(pixels).permute(0, 3, 1, 2)).embedding
    for size in (1, 2, 8):
        features = encode(student, pixels, DeviceBatch(CPU, size, "float32"))
        assert features.dtype == torch.float32
        assert not features.requires_grad
        torch.testing.assert_close(features, expected, rtol=1e-3, atol=1e-4)


def test_a_network_is_readied_as_a_copy_that_leaves_its_owner_alone() -> None:
    student = CASES["mobilenet"].student().train()
    student.scale.requires_grad_(True)
    elsewhere = ready_on(student, torch.device("meta"))
    assert {tensor.device.type for tensor in elsewhere.state_dict().values()} == {"meta"}
    assert not any(module.training for module in elsewhere.modules())
    assert {tensor.device.type for tensor in student.state_dict().values()} == {"cpu"}
    assert all(module.training for module in student.modules())
    kernels = [tensor for tensor in student.parameters() if tensor.ndim == 4]
    ready_on(student, CPU)
    assert all(kernel.is_contiguous() for kernel in kernels)


def test_a_network_that_is_ready_is_taken_as_it_is() -> None:
    ready = ready_on(CASES["mobilenet"].student().eval(), CPU)
    assert ready_on(ready, CPU) is ready
    next(iter(ready.children())).train()
    assert ready_on(ready, CPU) is not ready


def test_reversed_views_are_encoded_too() -> None:
    student, pixels = CASES["vit-cls"].student(), _pixels(3)
    forward = encode(student, pixels, DeviceBatch(CPU, 3, "float32"))
    backward = encode(student, pixels[::-1], DeviceBatch(CPU, 3, "float32"))
    torch.testing.assert_close(backward, forward.flip(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["mobilenet", "vit-cls"])
def test_embeddings_and_cells_may_come_of_one_pass(name: str) -> None:
    student = CASES[name].student().eval()
    pixels = _pixels(5, student.spec.tile_px)
    batch = DeviceBatch(CPU, 2, "float32")
    whole, cells = encode_both(student, pixels, batch)
    torch.testing.assert_close(whole, encode(student, pixels, batch))
    torch.testing.assert_close(cells, encode_bag(student, pixels, batch, "cells"))


def test_no_tiles_give_no_features() -> None:
    student = CASES["vit-cls"].student()
    assert encode(student, _pixels(0)).shape == (0, student.dim)
    assert encode_bag(student, _pixels(0)).shape == (0, 1, student.dim)
    assert encode_bag(student, _pixels(0), granularity="cells").shape == (0, 16, student.cell_dim)


@pytest.mark.real_data
def test_mixed_precision_keeps_the_features(real_data: Path) -> None:
    from PIL import Image

    from napari_xmag.nets.student import StudentSpec, build_student

    half = (0.5, 0.5, 0.5)
    folder = real_data / "teachers" / "mobilenetv1_100_in1k"
    student = ready_on(build_student(f"local-dir:{folder}", StudentSpec(2, 256, half, half)), CPU)
    fields = sorted((real_data / "tiles" / "osteosarcoma_10x").glob("*/*"))[::6]
    pixels = np.stack([np.asarray(Image.open(path).convert("RGB"))[:256, :256] for path in fields])
    # Glass never reaches the model, and has little that rounding would not drown.
    pixels = pixels[pixels.std((1, 2, 3)) > 10]
    assert len(pixels) > 5
    exact = encode(student, pixels, DeviceBatch(CPU, 4, "float32"))
    batch = DeviceBatch(CPU, 4)
    batch.dtype = torch.bfloat16
    mixed = encode(student, pixels, batch)
    assert torch.cosine_similarity(exact, mixed).min() > 0.998
    # What tells tiles apart must survive as well, not only what they share.
    centred = torch.cosine_similarity(exact - exact.mean(0), mixed - exact.mean(0))
    assert centred.min() > 0.99


def test_auto_is_the_best_device_there_is() -> None:
    assert str(pick_device()) == available_devices()[0]
    assert pick_device("cpu") == CPU


def test_a_card_is_named_as_its_tensors_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a network on it would not pass for ready, and be copied."""
    monkeypatch.setattr(device_module, "available_devices", lambda: ("cuda:0", "cpu"))
    assert pick_device("cuda") == pick_device("auto") == torch.device("cuda:0")


def test_missing_device_is_an_error_that_names_what_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"only .*cpu on this machine"):
        pick_device("cuda")
    with pytest.raises(ConfigError):
        pick_device("toaster")


def test_float32_can_be_had_everywhere() -> None:
    assert pick_dtype(CPU, "float32") == torch.float32
    with autocast(CPU, torch.float32):
        assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_cpu_uses_bfloat16_only_where_it_is_native(
    monkeypatch: pytest.MonkeyPatch, native: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native}, raising=False
    )
    assert pick_dtype(CPU) == dtype


def test_batch_size_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        DeviceBatch(CPU, 0)


def test_trying_doubles_while_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a made-up card that gains nothing beyond 64 tiles at once."""
    monkeypatch.setattr(DeviceBatch, "_rate", lambda self, _: float(min(self.size, 64)))
    monkeypatch.setattr(device_module, "pick_dtype", lambda *_: torch.float32)
    found = DeviceBatch.find(CASES["vit-cls"].student(), torch.device("meta"))
    assert found.size == 64


@pytest.mark.gpu
def test_cuda_finds_a_batch_and_agrees_with_the_cpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    student, pixels = CASES["mobilenet"].student(), _pixels(40, 128)
    exact = encode(ready_on(student, CPU), pixels, DeviceBatch(CPU, 8, "float32"))
    card = pick_device("cuda")
    ready = ready_on(student, card)
    assert ready_on(ready, card) is ready
    batch = DeviceBatch.find(ready, card)
    features = encode(ready, pixels, batch).cpu()
    assert batch.size >= 64
    assert torch.cosine_similarity(features, exact).min() > 0.99
