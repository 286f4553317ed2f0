"""The optimizer's parts: groups of parameters, its memory as tensors, scaled losses."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from napari_xmag.learn.fit_config import FitConfig


def parameter_groups(
    task: nn.Module, config: FitConfig, scales: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Return AdamW's groups: rates by name, no weight decay on biases and norms.

    The longest of the ``scales`` that a parameter's name begins with is its own.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in task.named_parameters():
        fitting = [prefix for prefix in scales if name.startswith(prefix)]
        scale = scales[max(fitting, key=len)] if fitting else 1.0
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        if parameter.requires_grad:
            groups.setdefault((config.lr * scale, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return what an optimizer remembers of each parameter, as ``number.name``."""
    state = optimizer.state_dict()["state"]
    return {f"{number}.{name}": v for number, some in state.items() for name, v in some.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Undo `optimizer_tensors`, for an optimizer of the same parameters."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for whole, value in tensors.items():
        number, _, name = whole.partition(".")
        like = parameters[int(number)]
        if value.shape == like.shape:
            # In the parameter's own memory layout, as the optimizer had made it.
            value = torch.empty_like(like).copy_(value)
        state.setdefault(int(number), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def loss_scaler(task: nn.Module, autocast: Callable[[], Any]) -> torch.amp.GradScaler:
    """Return what scales losses so that float16 gradients do not vanish; idle otherwise."""
    first = next(task.parameters(), None)
    kind = "cpu" if first is None else first.device.type
    with autocast():
        half = torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) == torch.float16
    return torch.amp.GradScaler(kind, enabled=half)
