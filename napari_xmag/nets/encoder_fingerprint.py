"""Which network made these features: one hash of all that decides them."""

import hashlib
from dataclasses import asdict
from typing import Any, cast

import torch
from torch import nn


def encoder_fingerprint(encoder: nn.Module, *rules: object) -> str:
    """Return a hash of all that decides an encoder's features: weights, scale and specification.

    Parameters
    ----------
    encoder
        A student, or what answers as one (with a ``spec``).
    rules
        What else decides how it is read out.
    """
    digest = hashlib.sha256()
    # the normalization is not in the state
    for name, tensor in sorted({**encoder.state_dict(), **dict(encoder.named_buffers())}.items()):
        value = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    digest.update(repr(sorted(asdict(cast(Any, encoder).spec).items())).encode())
    digest.update(repr(rules).encode() if rules else b"")
    return digest.hexdigest()
