"""Write ONNX files (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto) node by node, with all weights inside."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.models.protobuf import FIXED32, bytes_field, varint_field

OPSET, IR_VERSION = 17, 8
"""Versions of ONNX's operators and of its format: old enough for every ONNX Runtime that fmtag runs with."""

_TYPES = {"float32": 1, "uint8": 2, "int64": 7, "float16": 10}
"""Numbers of the types of elements in ONNX, by NumPy's names."""

_FLOAT, _INT, _INTS = 1, 2, 7
"""Numbers of the types of attributes."""


class OnnxWriter:
    """A graph to which nodes are added in the order in which they are computed; values are passed on by their names."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []

    def constant(self, array: NDArray[Any], as_float16: bool = False) -> str:
        """Add an array, float32, float16, uint8 or int64, and return its name.

        With `as_float16` a float32 array is stored as float16, in half the size, and converted back when the file is loaded.
        """
        if as_float16:
            return self.node("Cast", self.constant(array.astype(np.float16)), to=_TYPES["float32"])
        name = f"c{len(self._constants)}"
        self._constants.append(_tensor(name, array))
        return name

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: int | float | Sequence[int]) -> str:
        """Add a node with one output, and return the output's name: the given one, or a new one.

        Args:
            operator: one of ONNX's own, such as `Conv`.
            inputs: names of its inputs in their order.
            output: name of the output; needed for those of the graph alone.
            attributes: the node's attributes by name.
        """
        name = output or f"n{len(self._nodes)}"
        fields = [bytes_field(1, value) for value in inputs]
        fields += [bytes_field(2, name), bytes_field(3, name), bytes_field(4, operator)]
        fields += [bytes_field(5, _attribute(key, value)) for key, value in attributes.items()]
        self._nodes.append(b"".join(fields))
        return name

    def model(self, inputs: Mapping[str, tuple[str, Sequence[int | str]]], outputs: Mapping[str, Sequence[int | str]]) -> bytes:
        """Return the file.

        Args:
            inputs: type and shape of each input by its name; a dimension that is not fixed is a name, such as "n".
            outputs: shapes of the outputs, float32, by their names.
        """
        graph = [bytes_field(1, node) for node in self._nodes]
        graph += [bytes_field(2, "network"), *(bytes_field(5, constant) for constant in self._constants)]
        graph += [bytes_field(11, _value(name, dtype, shape)) for name, (dtype, shape) in inputs.items()]
        graph += [bytes_field(12, _value(name, "float32", shape)) for name, shape in outputs.items()]
        opset = bytes_field(1, "") + varint_field(2, OPSET)
        head = varint_field(1, IR_VERSION) + bytes_field(2, "fmtag")
        return head + bytes_field(7, b"".join(graph)) + bytes_field(8, opset)


def _tensor(name: str, array: NDArray[Any]) -> bytes:
    dims = b"".join(varint_field(1, size) for size in array.shape)
    little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return dims + varint_field(2, _TYPES[array.dtype.name]) + bytes_field(8, name) + bytes_field(9, little_endian.tobytes())


def _attribute(name: str, value: int | float | Sequence[int]) -> bytes:
    head = bytes_field(1, name)
    if isinstance(value, float):
        return head + bytes([2 << 3 | FIXED32]) + struct.pack("<f", value) + varint_field(20, _FLOAT)
    if isinstance(value, int):
        return head + varint_field(3, value) + varint_field(20, _INT)
    return head + b"".join(varint_field(8, one) for one in value) + varint_field(20, _INTS)


def _value(name: str, dtype: str, shape: Sequence[int | str]) -> bytes:
    """Return the description of an input or output."""
    sizes = [varint_field(1, size) if isinstance(size, int) else bytes_field(2, size) for size in shape]
    tensor = varint_field(1, _TYPES[dtype]) + bytes_field(2, b"".join(bytes_field(1, size) for size in sizes))
    return bytes_field(1, name) + bytes_field(2, bytes_field(1, tensor))
