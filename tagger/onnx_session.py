"""Open ONNX files for inference on the CPU, so that the results depend on neither threads nor other calls."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

NO_DIMENSIONS: Mapping[str, int] = MappingProxyType({})


def open_session(content: bytes, dimensions: Mapping[str, int] = NO_DIMENSIONS) -> "InferenceSession":
    """Return a session of ONNX Runtime for an ONNX file's content, with the sizes of dimensions that the file leaves open.

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
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes of errors have no base of their own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"ONNX Runtime cannot load it ({reason})") from error
