"""Sessions of ONNX Runtime give the same bits from any thread, and files that it refuses are one sentence."""

from concurrent.futures import ThreadPoolExecutor
from typing import cast

import numpy as np
import onnxruntime
import pytest

from tagger.models.config import NetworkConfig
from tagger.models.network import Network, state_arrays
from tagger.models.network_graph import network_graph
from tagger.onnx_session import GPU_PROVIDER, open_session


def test_threads_share_a_session() -> None:
    """Calls from four threads at once give the same, to the bit, as one call after the other."""
    config = NetworkConfig(widths=(8, 16))
    session = open_session(network_graph(config, state_arrays(Network(config).eval())))
    inputs = np.random.default_rng(0).uniform(0, 255, (50, 2, 1, 28, 28)).astype(np.float32)
    expected = [session.run(["logits"], {"pixels": one})[0] for one in inputs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda one: session.run(["logits"], {"pixels": one})[0], inputs))
    assert np.array_equal(expected, found)


def test_calls_compute_in_their_own_thread() -> None:
    """A session has no threads of its own and no device but the CPU."""
    config = NetworkConfig(widths=(8,))
    session = open_session(network_graph(config, state_arrays(Network(config).eval())))
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert session.get_providers() == ["CPUExecutionProvider"]


@pytest.mark.parametrize(("available", "on_gpu", "first"), [(True, True, GPU_PROVIDER), (True, False, ""), (False, True, "")])
def test_a_gpu_is_used_where_onnx_runtime_can(
    monkeypatch: pytest.MonkeyPatch, available: bool, on_gpu: bool, first: str
) -> None:
    """It comes first, without TF32, and only if it is wanted and there; the CPU takes what it cannot compute."""
    cpu = "CPUExecutionProvider"
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [GPU_PROVIDER, cpu] if available else [cpu])
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda content, options, providers: providers)
    *before, last = cast(list[object], open_session(b"", on_gpu=on_gpu))
    assert last == cpu
    assert [one[0] for one in cast(list[tuple[str, dict[str, str]]], before)] == ([first] if first else [])
    assert all(one[1]["use_tf32"] == "0" for one in cast(list[tuple[str, dict[str, str]]], before))


@pytest.mark.parametrize("content", [b"", b"no ONNX", b"\x08\x08\x3a\x00", b"\x1c\x00\x00\x00ORTM" + bytes(64)])
def test_files_that_cannot_be_loaded_are_one_sentence(content: bytes) -> None:
    """Whatever ONNX Runtime raises becomes a `ValueError` of one line."""
    with pytest.raises(ValueError, match=r"^ONNX Runtime cannot load it \(") as caught:
        open_session(content)
    assert "\n" not in str(caught.value)
