"""TensorFlow Lite networks are converted to ONNX files that compute the same, and unknown ones are refused."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from helpers import ROOT

from tagger.errors import ExportError
from tagger.training import tflite
from tagger.training.tflite import convert

FIXTURES = ROOT / "tests" / "fixtures"

NETWORK = (FIXTURES / "small-network.tflite").read_bytes()
"""A network of random weights with all operators that are converted, strides, both paddings and all fused activations."""


def session(content: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def test_the_converted_network_computes_the_same() -> None:
    """The outputs are those that TensorFlow Lite's own runtime gave for the same image, within float32's rounding."""
    outputs = np.load(FIXTURES / "small-network-outputs.npz")
    boxes, scores = session(convert(NETWORK, {0: "boxes", 1: "scores"})).run(["boxes", "scores"], {"image": outputs["image"]})
    assert boxes.shape == outputs["boxes"].shape
    assert np.abs(boxes - outputs["boxes"]).max() < 1e-5
    assert outputs["boxes"].max() > 0.1
    assert np.abs(scores - outputs["scores"]).max() < 1e-5


def test_weights_stay_float16() -> None:
    """Weights that the file holds as float16 are stored so, and computed with in float32."""
    model = onnx.load_model_from_string(convert(NETWORK, {0: "boxes"}, "an origin"))
    kinds = {tensor.data_type for tensor in model.graph.initializer if len(tensor.dims) == 4}
    assert kinds == {onnx.TensorProto.FLOAT16}
    assert model.doc_string == "an origin"


def test_outputs_that_are_not_wanted_are_left_out() -> None:
    """Without the second output the nodes that only it needs are left out."""
    both, one = (onnx.load_model_from_string(convert(NETWORK, names)) for names in ({0: "a", 1: "b"}, {0: "a"}))
    assert [output.name for output in one.graph.output] == ["a"]
    assert "Sigmoid" in {node.op_type for node in both.graph.node}
    assert "Sigmoid" not in {node.op_type for node in one.graph.node}


@pytest.mark.parametrize("content", [b"", b"no network at all", NETWORK[:4] + b"TFL2" + NETWORK[8:]])
def test_other_files_are_refused(content: bytes) -> None:
    """Bytes that are no TensorFlow Lite network give one sentence."""
    with pytest.raises(ExportError, match="no TensorFlow Lite network"):
        convert(content, {0: "boxes"})


def test_unknown_operators_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network with an operator that is not converted gives one sentence with its number."""
    monkeypatch.delitem(tflite._OPERATORS, 23)
    with pytest.raises(ExportError, match="operator 23"):
        convert(NETWORK, {0: "boxes"})


def test_both_networks_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command writes both files into the folder, with their origin."""
    monkeypatch.setattr(tflite, "OUTPUTS", {"face": {0: "boxes"}, "pose": {1: "scores"}})
    file = str(FIXTURES / "small-network.tflite")
    tflite.main([file, file, "--out", str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["face.onnx", "pose.onnx"]
    assert "small-network.tflite" in onnx.load(tmp_path / "pose.onnx").doc_string
