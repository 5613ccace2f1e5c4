"""Read a bundle's ONNX files, and refuse those that hold more than a graph of standard operators with all its weights inside.

ONNX Runtime would follow a reference to another file, load the code of other operators' domains, and read its own format too.
Files are checked before it sees them, against the fields of ONNX (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto);
a field that is not among them is refused as well.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tagger.models.protobuf import BYTES, VARINT, Field, read_fields

MAX_BYTES = 64 * 2**20
"""Size of the largest file, several times that of the largest network that fmtag runs."""

MAX_DEPTH = 8
"""Deepest nesting of graphs, such as those of the branches of an `If`."""

DOMAINS = (b"", b"ai.onnx")
"""Both names of the domain of ONNX's own operators."""

_ORT_FORMAT = b"ORTM"
"""Bytes 4 to 7 of a model in ONNX Runtime's own format, which it recognizes by them."""

# Numbers of the fields that a message may have; those that are looked into have names.
_GRAPH, _OPSET = 7, 8
_MODEL_FIELDS = {1, 2, 3, 4, 5, 6, _GRAPH, _OPSET, 14}
_TRAINING, _FUNCTIONS = 20, 25
_OPSET_DOMAIN = 1
_NODE, _INITIALIZER, _SPARSE_INITIALIZER = 1, 5, 15
_GRAPH_FIELDS = {_NODE, 2, _INITIALIZER, 10, 11, 12, 13, 14, _SPARSE_INITIALIZER, 16}
_ATTRIBUTE, _DOMAIN, _OVERLOAD = 5, 7, 8
_NODE_FIELDS = {1, 2, 3, 4, _ATTRIBUTE, 6, _DOMAIN, _OVERLOAD, 9}
_TENSOR, _SUBGRAPH, _TENSORS, _SUBGRAPHS, _REFERENCE, _SPARSE_TENSOR, _SPARSE_TENSORS = 5, 6, 10, 11, 21, 22, 23
_ATTRIBUTE_FIELDS = {
    *(1, 2, 3, 4, 7, 8, 9, 13, 14, 15, 20),
    *(_TENSOR, _SUBGRAPH, _TENSORS, _SUBGRAPHS, _REFERENCE, _SPARSE_TENSOR, _SPARSE_TENSORS),
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_TENSOR_FIELDS = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, _EXTERNAL_DATA, _DATA_LOCATION, 16}
_VALUES, _INDICES = 1, 2
_SPARSE_FIELDS = {_VALUES, _INDICES, 3}


def read_onnx(path: Path, sha256: str) -> bytes:
    """Return the content of a bundle's ONNX file.

    Raises `OSError` if it cannot be read, and `ValueError` if it is too large, its sha256 is another one, or `check_onnx`
    refuses it.
    """
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"{path.name} is larger than {MAX_BYTES // 2**20} MiB")
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"the sha256 of {path.name} is not the one on the card")
    try:
        check_onnx(content)
    except ValueError as error:
        raise ValueError(f"{path.name} is not an ONNX file that fmtag runs: {error}") from error
    return content


def check_onnx(content: bytes) -> None:
    """Raise `ValueError` unless an ONNX file is a graph of standard operators with all its weights inside."""
    if content[4:8] == _ORT_FORMAT:
        raise ValueError("it is in another format")
    graphs = 0
    for field in read_fields(content):
        if field.number == _FUNCTIONS:
            raise ValueError("it defines functions")
        if field.number == _TRAINING:
            raise ValueError("it holds a training")
        _require_known(field, _MODEL_FIELDS, "model")
        if field.number == _GRAPH:
            graphs += 1
            _check_graph(_message(field), 1)
        elif field.number == _OPSET:
            _check_domains(_message(field), _OPSET_DOMAIN)
    if graphs != 1:
        raise ValueError("it holds no graph" if graphs == 0 else "it holds several graphs")


def _check_graph(graph: memoryview, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"its graphs are nested more than {MAX_DEPTH} deep")
    for field in read_fields(graph):
        _require_known(field, _GRAPH_FIELDS, "graph")
        if field.number == _NODE:
            _check_node(_message(field), depth)
        elif field.number == _INITIALIZER:
            _check_tensor(_message(field))
        elif field.number == _SPARSE_INITIALIZER:
            _check_sparse_tensor(_message(field))


def _check_node(node: memoryview, depth: int) -> None:
    _check_domains(node, _DOMAIN)
    for field in read_fields(node):
        _require_known(field, _NODE_FIELDS, "node")
        if field.number == _OVERLOAD and field.content:
            raise ValueError("it calls functions")
        if field.number == _ATTRIBUTE:
            _check_attribute(_message(field), depth)


def _check_attribute(attribute: memoryview, depth: int) -> None:
    for field in read_fields(attribute):
        _require_known(field, _ATTRIBUTE_FIELDS, "attribute")
        if field.number in (_TENSOR, _TENSORS):
            _check_tensor(_message(field))
        elif field.number in (_SPARSE_TENSOR, _SPARSE_TENSORS):
            _check_sparse_tensor(_message(field))
        elif field.number in (_SUBGRAPH, _SUBGRAPHS):
            _check_graph(_message(field), depth + 1)
        elif field.number == _REFERENCE and field.content:
            raise ValueError("it refers to a function's attributes")


def _check_sparse_tensor(tensor: memoryview) -> None:
    for field in read_fields(tensor):
        _require_known(field, _SPARSE_FIELDS, "sparse tensor")
        if field.number in (_VALUES, _INDICES):
            _check_tensor(_message(field))


def _check_tensor(tensor: memoryview) -> None:
    for field in read_fields(tensor):
        _require_known(field, _TENSOR_FIELDS, "tensor")
        outside = field.number == _DATA_LOCATION and (field.kind != VARINT or field.integer != 0)
        if outside or field.number == _EXTERNAL_DATA:
            raise ValueError("some of its weights are in another file")


def _check_domains(message: memoryview, number: int) -> None:
    """Raise `ValueError` unless all domains that a message names in the field of that number are ONNX's own."""
    for domain in _contents(message, number):
        if bytes(domain) not in DOMAINS:
            raise ValueError(f"it uses operators of another domain, {bytes(domain[:40]).decode('ascii', 'replace')!r}")


def _contents(message: memoryview, number: int) -> Iterator[memoryview]:
    return (_message(field) for field in read_fields(message) if field.number == number)


def _message(field: Field) -> memoryview:
    """Return the bytes of a field; a parser would take another kind of value as an unknown field."""
    if field.kind != BYTES:
        raise ValueError(f"it is damaged (field {field.number} is not made of bytes)")
    return field.content


def _require_known(field: Field, known: set[int], name: str) -> None:
    if field.number not in known:
        raise ValueError(f"a {name} has the unknown field {field.number}")
