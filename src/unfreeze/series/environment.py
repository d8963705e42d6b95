"""What a run ran on: the things that can change its bits or its speed."""

import os
import platform
from typing import Any

import unfreeze
from unfreeze.backend import thread_count


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
        "gpu": _gpu(backend),
    }


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _gpu(backend: str) -> str | None:
    if backend == "torch":
        import torch  # pyright: ignore[reportMissingImports]

        return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    if backend == "jax":  # asked for devices that aren't there, it raises an error
        import jax  # pyright: ignore[reportMissingImports]

        [device, *_] = jax.devices()
        return None if device.platform == "cpu" else device.device_kind
    import keras

    devices = keras.distribution.list_devices("gpu")
    return devices[0] if devices else None
