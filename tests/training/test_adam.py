"""Adam in one operation a variable: Keras's own, to rounding, whatever a regimen makes of it."""

import keras
import numpy as np
import pytest

from unfreeze.training.adam import OneOperation, adam
from unfreeze.training.regimen import rate_over_time, scale_steps

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="needs TensorFlow")


def trained(optimizer: keras.optimizers.Optimizer, factor: float) -> list[np.ndarray]:
    """Train weights for five steps whose gradients differ by orders of magnitude."""
    rng = np.random.default_rng(0)
    weights = [keras.Variable(rng.normal(size=shape).astype("float32")) for shape in ((3, 4), (4,))]
    if factor != 1:
        scale_steps(optimizer, {id(weights[0]): factor})
    optimizer.build(weights)
    for step in range(5):
        gradients = [rng.normal(size=weight.shape).astype("float32") * 10.0**-step for weight in weights]
        optimizer.apply_gradients([*zip(map(keras.ops.convert_to_tensor, gradients), weights, strict=True)])
    return [np.array(variable) for variable in (*weights, *optimizer.variables)]


@pytest.mark.parametrize("factor", [1.0, 0.7])
@pytest.mark.parametrize(
    "settings",
    [{}, {"learning_rate": rate_over_time(1e-2, 5, 2, "cosine")}, {"weight_decay": 0.1}, {"use_ema": True}],
    ids=["as it is", "schedule", "weight decay", "averaged"],
)
def test_steps_are_those_of_keras(settings, factor):
    ours, keras_own = (
        trained(kind(**{"learning_rate": 1e-2, **settings}), factor) for kind in (OneOperation, keras.optimizers.Adam)
    )
    assert len(ours) == len(keras_own)
    for mine, theirs in zip(ours, keras_own, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-7)


def test_it_is_what_trains():
    assert isinstance(adam(1e-3), OneOperation)
    assert adam(1e-3).get_config() == keras.optimizers.Adam(1e-3, name="adam").get_config()
