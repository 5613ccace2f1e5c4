"""Open ONNX files for inference, so that the results depend on neither threads nor other calls."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

NO_DIMENSIONS: Mapping[str, int] = MappingProxyType({})


GPU_PROVIDER = "CUDAExecutionProvider"
"""ONNX Runtime's name of what computes on NVIDIA's GPUs, which the package `onnxruntime-gpu` has."""


def open_session(content: bytes, dimensions: Mapping[str, int] = NO_DIMENSIONS, on_gpu: bool = False) -> "InferenceSession":
    """Return a session of ONNX Runtime for an ONNX file's content, with the sizes of dimensions that the file leaves open.

    It computes on the CPU, or `on_gpu`, where ONNX Runtime can, in float32 that is not rounded to TF32.

    A call of its `run` computes in the calling thread alone and releases the interpreter, so that several threads can call it
    at once, and gives the same results, to the bit, for the same input. Raises `ValueError` if ONNX Runtime refuses the file.
    """
    # Imported here, as it takes a tenth of a second, and commands import the modules of others without running a network.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # More threads within a call would wait for each other on networks so small, and may sum in another order.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # errors; its warnings are meant for the makers of files
    options.add_session_config_entry("session.load_model_format", "ONNX")  # not its own format, whatever the bytes look like
    for name, size in dimensions.items():
        options.add_free_dimension_override_by_name(name, size)
    providers: list[str | tuple[str, dict[str, str]]] = ["CPUExecutionProvider"]
    if on_gpu and GPU_PROVIDER in onnxruntime.get_available_providers():
        # Its kernels are chosen by rules, not by trials, which may choose others in another run.
        providers.insert(0, (GPU_PROVIDER, {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}))
    try:
        return onnxruntime.InferenceSession(content, options, providers=providers)
    except Exception as error:  # its classes of errors have no base of their own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"ONNX Runtime cannot load it ({reason})") from error
