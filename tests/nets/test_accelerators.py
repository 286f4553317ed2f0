"""What is told of a machine without torch."""

from pathlib import Path

import pytest

from napari_xmag.nets import accelerators
from napari_xmag.nets.accelerators import accelerator_possible, cpu_multiplies_bfloat16
from napari_xmag.nets.device import available_devices


def test_no_device_is_overlooked() -> None:
    assert accelerator_possible() or available_devices() == ("cpu",)


@pytest.mark.parametrize(
    ("flags", "native"),
    [
        ("fpu avx2 avx512f avx512_bf16 amx_tile", True),
        ("fpu amx_bf16", True),
        ("fpu avx2 avx512f", False),
        ("fpu xavx512_bf16x", False),
    ],
)
def test_bfloat16_is_read_off_the_flags(
    flags: str, native: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t: none\n")
    monkeypatch.setattr(accelerators, "_CPU_INFO", tmp_path / "cpuinfo")
    assert cpu_multiplies_bfloat16() == native


def test_system_that_does_not_say_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerators, "_CPU_INFO", tmp_path / "missing")
    assert not cpu_multiplies_bfloat16()


@pytest.mark.parametrize(
    ("platform", "machine", "possible"),
    [("darwin", "arm64", True), ("darwin", "x86_64", False)],
)
def test_mac_has_a_gpu_where_it_is_apples(
    platform: str, machine: str, possible: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert accelerator_possible() == possible


def test_windows_has_one_where_its_driver_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    for found in (None, "C:/Windows/System32/nvcuda.dll"):
        monkeypatch.setattr("ctypes.util.find_library", lambda name, found=found: found)
        assert accelerator_possible() == (found is not None)
