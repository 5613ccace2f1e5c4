"""ONNX files with anything but standard operators and weights of their own are refused, wherever in the file it stands."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagger.models import onnx_file
from tagger.models.onnx_file import MAX_DEPTH, check_onnx, read_onnx
from tagger.models.protobuf import bytes_field, varint_field

onnx = pytest.importorskip("onnx")
helper = onnx.helper


def value(name: str) -> Any:
    """Return the description of a value float32 (2,)."""
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (2,))


def tensor(name: str = "w", outside: bool = False) -> Any:
    """Return a tensor float32 (2,), whose values are in another file if `outside`."""
    made = onnx.numpy_helper.from_array(np.ones(2, np.float32), name)
    if outside:
        made.ClearField("raw_data")
        made.data_location = onnx.TensorProto.EXTERNAL
        made.external_data.add(key="location", value="../../etc/passwd")
    return made


def sparse(outside: bool) -> Any:
    """Return a sparse tensor whose values are in another file if `outside`."""
    indices = onnx.numpy_helper.from_array(np.arange(2), "indices")
    return helper.make_sparse_tensor(tensor("w", outside), indices, (4,))


def graph(*nodes: Any, constants: tuple[Any, ...] = (), sparse_constants: tuple[Any, ...] = ()) -> Any:
    """Return a graph from x to y with the nodes, or that of x plus the tensor."""
    nodes = nodes or (helper.make_node("Add", ("x", "w"), ("y",)),)
    return helper.make_graph(nodes, "g", [value("x")], [value("y")], initializer=constants, sparse_initializer=sparse_constants)


def model(inner: Any, **options: Any) -> bytes:
    """Return the file of a graph."""
    content: bytes = helper.make_model(inner, **options).SerializeToString()
    return content


def branch(*nodes: Any, constants: tuple[Any, ...] = ()) -> Any:
    """Return a subgraph without inputs that gives z."""
    nodes = nodes or (helper.make_node("Identity", ("w",), ("z",)),)
    return helper.make_graph(nodes, "b", [], [value("z")], initializer=constants)


def with_branch(inner: Any) -> Any:
    """Return a graph with a condition, one of whose branches is the subgraph."""
    other = branch(constants=(tensor(),))
    node = helper.make_node("If", ("c",), ("y",), then_branch=other, else_branch=inner)
    return graph(helper.make_node("Cast", ("x",), ("c",), to=onnx.TensorProto.BOOL), node)


CUSTOM = helper.make_node("Run", ("x",), ("y",), domain="custom.ops")

FUNCTION = helper.make_function(
    "own", "f", ["a"], ["b"], [helper.make_node("Identity", ["a"], ["b"])], [helper.make_opsetid("", 17)]
)

GOOD: dict[str, Callable[[], bytes]] = {
    "weights": lambda: model(graph(constants=(tensor(),))),
    "domain by its name": lambda: model(
        graph(helper.make_node("Relu", ("x",), ("y",), domain="ai.onnx")), opset_imports=[helper.make_opsetid("ai.onnx", 17)]
    ),
    "branches": lambda: model(with_branch(branch(constants=(tensor(),)))),
    "sparse weights": lambda: model(graph(sparse_constants=(sparse(outside=False),))),
    "constant": lambda: model(graph(helper.make_node("Constant", (), ("y",), value=tensor()))),
    "metadata": lambda: (
        helper.set_model_props(made := helper.make_model(graph(constants=(tensor(),))), {"a": "b"}) or made.SerializeToString()
    ),
}

BAD: dict[str, tuple[str, Callable[[], bytes]]] = {
    "initializer": ("in another file", lambda: model(graph(constants=(tensor(), tensor("v", outside=True))))),
    "sparse initializer": ("in another file", lambda: model(graph(sparse_constants=(sparse(outside=True),)))),
    "constant": (
        "in another file",
        lambda: model(graph(helper.make_node("Constant", (), ("y",), value=tensor(outside=True)))),
    ),
    "sparse constant": (
        "in another file",
        lambda: model(graph(helper.make_node("Constant", (), ("y",), sparse_value=sparse(outside=True)))),
    ),
    "initializer of a branch": ("in another file", lambda: model(with_branch(branch(constants=(tensor("w", outside=True),))))),
    "constant in a branch": (
        "in another file",
        lambda: model(with_branch(branch(helper.make_node("Constant", (), ("z",), value=tensor(outside=True))))),
    ),
    "constant two branches down": (
        "in another file",
        lambda: model(with_branch(with_branch(branch(helper.make_node("Constant", (), ("z",), value=tensor(outside=True)))))),
    ),
    "tensors of an attribute": (
        "in another file",
        lambda: model(graph(helper.make_node("Any", ("x",), ("y",), many=[tensor(), tensor(outside=True)]))),
    ),
    "graphs of an attribute": (
        "in another file",
        lambda: model(graph(helper.make_node("Any", ("x",), ("y",), many=[branch(constants=(tensor("w", outside=True),))]))),
    ),
    "location without data": ("in another file", lambda: with_location(model(graph(constants=(tensor(),))))),
    "node": ("another domain, 'custom.ops'", lambda: model(graph(CUSTOM))),
    "node of a branch": (
        "another domain",
        lambda: model(with_branch(branch(helper.make_node("Run", (), ("z",), domain="com.microsoft")))),
    ),
    "imported domain": (
        "another domain, 'ai.onnx.ml'",
        lambda: model(
            graph(constants=(tensor(),)), opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
        ),
    ),
    "functions": ("defines functions", lambda: model(graph(constants=(tensor(),)), functions=[FUNCTION])),
    "overload": ("calls functions", lambda: model(graph(helper.make_node("Relu", ("x",), ("y",), overload="mine")))),
    "training": ("a training", lambda: with_training(helper.make_model(graph(constants=(tensor(),))))),
    "no graph": ("no graph", lambda: varint_field(1, 8)),
    "second graph": (
        "several graphs",
        lambda: model(graph(constants=(tensor(),))) + bytes_field(7, graph(constants=(tensor("v"),)).SerializeToString()),
    ),
    "unknown field": ("unknown field 99", lambda: model(graph(constants=(tensor(),))) + varint_field(99, 1)),
    "a number for the graph": ("not made of bytes", lambda: varint_field(7, 1)),
    "ONNX Runtime's own format": (
        "another format",
        lambda: varint_field(1, 8) + bytes_field(2, b"ORTM") + model(graph(constants=(tensor(),))),
    ),
}


def with_location(content: bytes) -> bytes:
    """Return the file of a graph with a second weight that only claims to be elsewhere, by a number that ends in 1."""
    outside = tensor("v").SerializeToString() + varint_field(14, 2**32 + 1)
    inner = onnx.load_from_string(content).graph.SerializeToString() + bytes_field(5, outside)
    return varint_field(1, 8) + bytes_field(7, inner)


def with_training(made: Any) -> bytes:
    """Return the file of a model that holds a training."""
    made.training_info.add().initialization.CopyFrom(graph(constants=(tensor(),)))
    content: bytes = made.SerializeToString()
    return content


@pytest.mark.parametrize("name", GOOD)
def test_standard_operators_with_their_weights_pass(name: str) -> None:
    """Weights, branches, sparse weights, constants and metadata are nothing to refuse."""
    check_onnx(GOOD[name]())


@pytest.mark.parametrize("name", BAD)
def test_everything_else_is_refused(name: str) -> None:
    """The reason is named; a parser that is less strict would read or run what the file refers to."""
    reason, made = BAD[name]
    with pytest.raises(ValueError, match=reason):
        check_onnx(made())


def test_deep_nesting_is_refused() -> None:
    """Graphs within graphs end at `MAX_DEPTH`, long before the interpreter's own limit."""
    inner = branch(constants=(tensor(),))
    for _ in range(MAX_DEPTH - 2):
        inner = with_branch(inner)
    check_onnx(model(with_branch(inner)))
    with pytest.raises(ValueError, match="nested"):
        check_onnx(model(with_branch(with_branch(inner))))


def test_cut_files_are_refused_at_every_place() -> None:
    """Wherever a file ends early, it is refused, or what is left still is a graph of standard operators."""
    content = GOOD["branches"]()
    refused = 0
    for end in range(len(content)):
        try:
            check_onnx(content[:end])
        except ValueError:
            refused += 1
    assert refused > 0.95 * len(content)


@pytest.mark.parametrize("seed", range(20))
def test_garbage_is_refused(seed: int) -> None:
    """Random bytes are refused by a `ValueError` and no other error."""
    with pytest.raises(ValueError):  # noqa: PT011 (the reason depends on the bytes)
        check_onnx(np.random.default_rng(seed).bytes(1 + 50 * seed))


@pytest.mark.parametrize("seed", range(200))
def test_flipped_bits_end_in_no_other_error(seed: int) -> None:
    """A file with a changed byte passes or is refused; nothing else happens."""
    rng = np.random.default_rng(seed)
    content = bytearray(GOOD["branches"]())
    content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    with suppress(ValueError):
        check_onnx(bytes(content))


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    """The content of a good file is returned as it is."""
    content = GOOD["weights"]()
    (tmp_path / "a.onnx").write_bytes(content)
    assert read_onnx(tmp_path / "a.onnx", hashlib.sha256(content).hexdigest()) == content


def test_other_files_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed, an oversized and a refused file are one sentence each, with the file's name."""
    file = tmp_path / "a.onnx"
    content = GOOD["weights"]()
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"sha256 of a\.onnx is not the one on the card"):
        read_onnx(file, hashlib.sha256(b"").hexdigest())
    bad = BAD["node"][1]()
    file.write_bytes(bad)
    with pytest.raises(ValueError, match=r"a\.onnx is not an ONNX file that fmtag runs: .*'custom\.ops'"):
        read_onnx(file, hashlib.sha256(bad).hexdigest())
    monkeypatch.setattr(onnx_file, "MAX_BYTES", len(bad) - 1)
    with pytest.raises(ValueError, match=r"a\.onnx is larger than"):
        read_onnx(file, hashlib.sha256(bad).hexdigest())
