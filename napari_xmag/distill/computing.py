"""How a student is computed while it learns: precision, memory, compilation, many devices."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import nn

from napari_xmag.errors import ConfigError
from napari_xmag.learn.distributed import Processes
from napari_xmag.nets.device import autocast, pick_dtype
from napari_xmag.nets.info import LearningPrecision
from napari_xmag.nets.student import Student


def learning_autocast(device: torch.device, precision: LearningPrecision) -> Callable[[], Any]:
    """Return the context under which a student learns on this device.

    Raises
    ------
    ConfigError
        When the device does not learn in float16.
    """
    dtype = pick_dtype(device, precision)
    if dtype == torch.float16 and device.type != "cuda":
        raise ConfigError(
            expected="a precision in which the device can train",
            found=f"float16 on {device.type}",
            hint="Set run.precision to bfloat16, float32 or auto.",
        )
    return lambda: autocast(device, dtype)


def recompute_activations(student: Student) -> None:
    """Let the backbone keep few activations and compute the others again for the gradient.

    Raises
    ------
    ConfigError
        When timm cannot do so for this network.
    """
    backbone = cast(Any, student.backbone)
    try:
        backbone.set_grad_checkpointing(True)
    except (AssertionError, AttributeError, NotImplementedError) as error:
        raise ConfigError(
            expected="a student that supports gradient checkpointing",
            found=f"{student.architecture}, for which timm cannot",
            hint="Set student.checkpointing to false, or choose another network.",
            causes=[error],
        ) from error


def share_batch_norms(
    student: Student, device: torch.device, processes: Processes, *, frozen: bool
) -> None:
    """Let the student's own batch norms see the batches of all processes.

    Raises
    ------
    ConfigError
        When several processes learn on CPUs, where torch cannot do so.
    """
    norms = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in student.modules())
    if frozen or processes.world == 1 or not norms:
        return
    if device.type != "cuda":
        raise ConfigError(
            expected="batch norms over the batches of all processes",
            found=f"a student with batch norms in {processes.world} processes on {device.type}",
            hint="Set student.freeze_norm to true, or use one process.",
        )
    from timm.layers import convert_sync_batchnorm

    student.backbone = convert_sync_batchnorm(student.backbone)


def compile_student(student: Student, precision: Callable[[], Any]) -> None:
    """Compile the student's computing, and try it.

    Raises
    ------
    ConfigError
        When this machine cannot.
    """
    side, training = student.spec.tile_px, student.training
    pixels = torch.zeros(2, 3, side, side, dtype=torch.uint8, device=student.scale.device)
    student.eval()
    try:
        student.compile()
        with precision():
            student(pixels).embedding.float().sum().backward()
    except Exception as error:
        raise ConfigError(
            expected="to compile the student",
            found=f"{type(error).__name__}: {str(error).strip().splitlines()[0]}",
            hint="Set run.compile to false, or install a C++ compiler (on CUDA: Triton).",
            causes=[error],
        ) from error
    finally:
        student.train(training)
        student.zero_grad(set_to_none=True)
