"""An ONNX file opened so that several threads can call it, each on a core of its own."""

from pathlib import Path

import onnxruntime


def open_session(model: Path | bytes) -> onnxruntime.InferenceSession:
    """Open an ONNX model in ONNX Runtime, on the CPU, with one thread a call.

    Spreading calls over threads is faster than spreading each of them.

    Args:
        model: the file, or its content.

    Raises:
        Exception: it is no such model; ONNX Runtime has no common class for its errors.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
