"""What a run ran on: the things that can change its bits or its speed."""

import os
import platform
from typing import Any

import unfreeze
from unfreeze.backend import thread_count
from unfreeze.gpu import gpu_name, has_bfloat16


def environment(engine: str) -> dict[str, Any]:
    """Describe the software and the machine, for `results.json` and the lineage.

    Args:
        engine: what runs the frozen layers.
    """
    import keras

    backend = keras.backend.backend()
    module = __import__(backend)
    return {
        "unfreeze": unfreeze.__version__,
        "keras": keras.__version__,
        "backend": backend,
        "backend_version": module.__version__,
        "python": platform.python_version(),
        "engine": engine,
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") != "0" if backend == "tensorflow" else None,
        "threads": thread_count(),
        "cpu": _cpu(),
        "gpu": gpu_name(),
        "bfloat16": has_bfloat16(),
    }


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
