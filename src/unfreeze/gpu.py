"""The GPU that Keras computes on, if there is one."""

from functools import cache
from typing import Any

FIRST_WITH_BFLOAT16 = 8
"""NVIDIA's compute capability from which on a chip multiplies matrices in bfloat16 (Ampere, 2020)."""


def on_gpu() -> bool:
    """Whether Keras computes on something else than the processor: there it puts new arrays."""
    import keras

    array: Any = keras.ops.convert_to_tensor(0.0)
    return "cpu" not in str(array.device).lower()


def tensorflow_on_cpu() -> bool:
    """Whether TensorFlow computes, on the processor: some things have a form there that costs less."""
    import keras

    return keras.backend.backend() == "tensorflow" and not on_gpu()


def gpu_name() -> str | None:
    """Name the GPU that the backend finds."""
    import keras

    backend = keras.backend.backend()
    if backend == "torch":
        import torch  # pyright: ignore[reportMissingImports]

        return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    if backend == "jax":  # asked for devices that aren't there, it raises an error
        import jax  # pyright: ignore[reportMissingImports]

        [device, *_] = jax.devices()
        return None if device.platform == "cpu" else device.device_kind
    devices = keras.distribution.list_devices("gpu")
    return devices[0] if devices else None


@cache
def has_bfloat16() -> bool:
    """Whether Keras computes on a GPU that is faster in bfloat16: one of NVIDIA's since Ampere."""
    import keras

    if not on_gpu():
        return False
    backend = keras.backend.backend()
    if backend == "torch":
        import torch  # pyright: ignore[reportMissingImports]

        return torch.cuda.is_available() and torch.cuda.get_device_capability()[0] >= FIRST_WITH_BFLOAT16
    if backend == "jax":
        import jax  # pyright: ignore[reportMissingImports]

        capability = getattr(jax.devices()[0], "compute_capability", "0")
    else:
        import tensorflow as tf

        details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
        capability = ".".join(map(str, details.get("compute_capability", (0,))))
    return int(str(capability).partition(".")[0]) >= FIRST_WITH_BFLOAT16
