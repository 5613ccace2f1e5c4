"""ONNX files are written so that ONNX's own checker and ONNX Runtime take them."""
# ruff: noqa: SIM300 - the expected value stands first, as in every test here

import numpy as np
import pytest

from tagger.models.onnx_file import check_onnx
from tagger.models.onnx_writer import IR_VERSION, OPSET, OnnxWriter
from tagger.onnx_session import open_session

onnx = pytest.importorskip("onnx")


def scaled(as_float16: bool = False) -> bytes:
    """Return a file that computes elu(x * 3) of x, float32 (n, 2), with constants in either type."""
    writer = OnnxWriter()
    product = writer.node("Mul", "x", writer.constant(np.full(2, 3, np.float32), as_float16))
    writer.node("Elu", product, output="y", alpha=0.5)
    return writer.model({"x": ("float32", ("n", 2))}, {"y": ("n", 2)})


@pytest.mark.parametrize("as_float16", [False, True])
def test_a_file_computes_what_was_written(as_float16: bool) -> None:
    """The graph gives the same in ONNX Runtime, whether its constants are stored as float32 or float16."""
    x = np.array([[1, -1], [0, 2], [3, 4]], np.float32)
    expected = np.where(x > 0, 3 * x, 0.5 * (np.exp(3 * x) - 1))
    assert np.allclose(expected, open_session(scaled(as_float16)).run(["y"], {"x": x})[0], atol=1e-6)


def test_a_file_is_complete() -> None:
    """ONNX's checker accepts the file; its versions, names, types and shapes are those given."""
    model = onnx.load_from_string(scaled())
    onnx.checker.check_model(model, full_check=True)
    assert (IR_VERSION, "", OPSET) == (model.ir_version, model.opset_import[0].domain, model.opset_import[0].version)
    (given,), (returned,) = model.graph.input, model.graph.output
    assert ("x", "n", 2) == (
        given.name,
        given.type.tensor_type.shape.dim[0].dim_param,
        given.type.tensor_type.shape.dim[1].dim_value,
    )
    assert ("y", onnx.TensorProto.FLOAT) == (returned.name, returned.type.tensor_type.elem_type)
    check_onnx(scaled())


@pytest.mark.parametrize("array", [np.arange(6, dtype=np.int64).reshape(2, 3), np.float32(2.5), np.zeros((0, 2), np.float32)])
def test_constants_are_read_as_written(array: np.ndarray) -> None:
    """Constants of any shape and type are what ONNX's package reads from the file."""
    writer = OnnxWriter()
    writer.node("Identity", writer.constant(np.asarray(array)), output="y")
    (constant,) = onnx.load_from_string(writer.model({}, {"y": ()})).graph.initializer
    read = onnx.numpy_helper.to_array(constant)
    assert (np.asarray(array).shape, np.asarray(array).dtype) == (read.shape, read.dtype)
    assert np.array_equal(array, read)


def test_attributes_are_read_as_written() -> None:
    """Integers, several of them, negative ones and floats are what ONNX's package reads from the file."""
    writer = OnnxWriter()
    writer.node("Any", "x", output="y", one=-3, several=(1, 2), ratio=0.5, none=())
    (node,) = onnx.load_from_string(writer.model({}, {"y": ()})).graph.node
    values = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    assert {"one": -3, "several": [1, 2], "ratio": 0.5, "none": []} == values


def test_float16_halves_the_size() -> None:
    """Constants stored as float16 take half the bytes."""
    sizes = []
    for as_float16 in (False, True):
        writer = OnnxWriter()
        writer.node("Identity", writer.constant(np.ones(10_000, np.float32), as_float16), output="y")
        sizes.append(len(writer.model({}, {"y": (10_000,)})))
    assert sizes[1] < 0.51 * sizes[0]
