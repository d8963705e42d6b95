"""The translation of a classifier's answers against NumPy, and what a saved one is made of."""

import keras
import numpy as np
import pytest
from scipy.special import expit
from tests.networks import run

from unfreeze.models.translation import build_as_is

OUTPUTS = ((3,), (), (5, 6, 9), (0, 1), ())


def classifier(seed: int = 0, scale: float = 1.0) -> keras.Model:
    """A classifier of ten classes with random weights, from 4 x 4 pixels to logits."""
    photo = keras.Input((4, 4, 3))
    features = keras.layers.Flatten()(keras.layers.Rescaling(scale / 127.5, offset=-scale)(photo))
    model = keras.Model(photo, keras.layers.Dense(10)(features), name="small")
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 1, weight.shape) for weight in model.weights])
    return model


def photos(count: int = 50) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 4, 4, 3)).astype("float32")


def by_hand(logits: np.ndarray) -> np.ndarray:
    """Softmax over all outputs, the best name of each class, divided by the sum over classes: in float64."""
    exponentials = np.exp(logits.astype(np.float64))
    all_outputs = exponentials / exponentials.sum(axis=1, keepdims=True)
    best = np.stack([all_outputs[:, list(known)].max(axis=1, initial=0) for known in OUTPUTS], axis=1)
    return best / best.sum(axis=1, keepdims=True)


def test_a_class_has_the_probability_of_its_best_name():
    model = classifier()
    found = run(build_as_is(model, OUTPUTS), photos())
    expected = by_hand(run(model, photos()))
    assert len(set(expected.argmax(axis=1))) == 3  # every known class is an answer
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (found[:, [1, 4]] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_the_answer_is_the_owner_of_the_best_mapped_name():
    model = classifier(2)
    logits = run(model, photos())
    owners = {3: 0, 5: 2, 6: 2, 9: 2, 0: 3, 1: 3}
    best = [owners[max(owners, key=lambda output: row[output])] for row in logits]
    assert run(build_as_is(model, OUTPUTS), photos()).argmax(axis=1).tolist() == best


def test_names_that_are_out_of_the_question_still_make_probabilities():
    model = classifier(scale=30)
    found = run(build_as_is(model, [[3], [4]]), photos())
    logits = run(model, photos()).astype(np.float64)
    assert (logits.max(axis=1) - logits[:, [3, 4]].max(axis=1)).max() > 104  # too small for a float32 probability
    np.testing.assert_allclose(found[:, 0], expit(logits[:, 3] - logits[:, 4]), atol=1e-4)


def test_a_saved_one_needs_nothing_of_ours(tmp_path):
    model = build_as_is(classifier(), OUTPUTS)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(run(again, photos()), run(model, photos()))
    assert [layer.name for layer in again.layers] == ["photo", "small", "translation"]
    assert all(type(layer).__module__.startswith("keras.") for layer in again._flatten_layers())


def test_knowing_nothing_is_refused():
    with pytest.raises(ValueError, match="knows none of the classes"):
        build_as_is(classifier(), [[], []])
