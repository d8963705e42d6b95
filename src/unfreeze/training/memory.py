"""Whether a batch fits into memory, found out before training: a process that takes too much is killed unheard."""

import math

import keras

from unfreeze.errors import RunError
from unfreeze.features.graph import calls
from unfreeze.free_memory import available_bytes
from unfreeze.models.classifier import InferenceMode

SHARE_KEPT = 0.5
"""Share of all layers' outputs that a training step holds at least. EfficientNet-Lite0 at 224 x 224 pixels took 0.65
of them with all layers trained and 0.83 with the last 40 (TensorFlow on a CPU, peak of resident memory)."""


def ensure_batch_fits(trained: keras.Model, batch_size: int) -> None:
    """Make sure that a step of training has the memory that it takes at least.

    JAX compiles layers into one another, so what it takes is not known.

    Args:
        trained: the model that is trained.
        batch_size: photos a step.

    Raises:
        RunError: it hasn't; the message says which batch would fit.
    """
    if keras.backend.backend() == "jax":
        return
    each, available = bytes_per_photo(trained), available_bytes()
    if each * batch_size <= available:
        return
    fitting = int(available // each)
    smaller = f"batches of at most {fitting} (--set data.batch_size={fitting}), " if fitting else ""
    raise RunError(
        f"A training step on {batch_size:,} photos takes at least {each * batch_size / 1e9:,.1f} GB of memory, and "
        f"{available / 1e9:,.1f} GB are available. Take {smaller}smaller photos (--set data.image_size=160), fewer "
        "unfrozen layers or a smaller backbone, and make the same call again; what is finished is kept."
    )


def bytes_per_photo(trained: keras.Model) -> float:
    """Give the bytes that a training step holds for each photo, at least."""
    return 4 * SHARE_KEPT * _outputs(trained)


def _outputs(network: keras.Model) -> int:
    """Count the numbers that a network's layers give for one photo."""
    count = 0
    for call in calls(network):
        inner = call.layer.network if isinstance(call.layer, InferenceMode) else call.layer
        if isinstance(inner, keras.Model):
            count += _outputs(inner)
        else:
            count += sum(math.prod(size or 1 for size in output.shape[1:]) for output in call.outputs)
    return count
