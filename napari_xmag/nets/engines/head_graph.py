"""The attention head as a graph: what `AttentionHead.patch_scores` computes, without torch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import ModelError
from napari_xmag.nets.engines.runtime import open_session

# Value, gate and score lie side by side, so that one product serves all three.
_PARTS = ("value", "gate", "score")
_OPSET = 17


class HeadGraph:
    """Scores patches in ONNX Runtime, in the thread that calls.

    NumPy would use threads of its own for the products, beside those of the lanes.

    Parameters
    ----------
    arrays
        The tensors of an `AttentionHead` by name.

    Raises
    ------
    ModelError
        When they are not those of such a head.
    GraphError
        When ONNX Runtime or onnx is missing.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._session = open_session(_head_model(arrays))

    def patch_scores(
        self, features: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Score patches, float32 (k, D), each for itself.

        Returns
        -------
        Attention logits float32 (k,) and patch evidence float32 (k, C).
        """
        # one row alone is multiplied in another way, which would change the last digit
        given = np.repeat(features, 2, 0) if len(features) == 1 else features
        logit, evidence = self._session.run(["logit", "evidence"], {"features": given})
        return logit[: len(features), 0], evidence[: len(features)]


def _head_model(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    try:
        weights = np.concatenate([arrays[f"{part}.weight"] for part in _PARTS]).T
        biases = np.concatenate([arrays[f"{part}.bias"] for part in _PARTS])
        attend = arrays["attend.weight"].T
        hidden, classes = len(attend), len(arrays["score.bias"])
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(
            expected="the tensors of an attention head",
            found=f"{type(error).__name__}: {error}",
            hint="Fetch or save the model again.",
            causes=[error],
        ) from error
    constants = {
        "weights": weights.astype(np.float32),
        "biases": biases.astype(np.float32),
        "attend": attend.astype(np.float32),
        "widths": np.array([hidden, hidden, classes], np.int64),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["features", "weights", "biases"], ["all"]),
            helper.make_node("Split", ["all", "widths"], ["value", "gate", "evidence"], axis=1),
            helper.make_node("Tanh", ["value"], ["bounded"]),
            helper.make_node("Sigmoid", ["gate"], ["open"]),
            helper.make_node("Mul", ["bounded", "open"], ["gated"]),
            helper.make_node("MatMul", ["gated", "attend"], ["logit"]),
        ],
        "attention head",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["patches", len(weights)])],
        [
            helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["patches", 1]),
            helper.make_tensor_value_info("evidence", TensorProto.FLOAT, ["patches", classes]),
        ],
        [
            numpy_helper.from_array(np.ascontiguousarray(value), name)
            for name, value in constants.items()
        ],
    )
    opset = helper.make_opsetid("", _OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    serialized: bytes = model.SerializeToString()
    return serialized
