"""What each key of a regimen does to numbers, against Keras, NumPy and the papers' formulas."""

from typing import Any

import keras
import numpy as np
import pytest
from tests.tiny import tiny_backbone, tiny_photos

from unfreeze.config import Phase
from unfreeze.errors import LayerError, RecipeError
from unfreeze.models.backbones import build_backbone
from unfreeze.models.blocks import depths, find_blocks
from unfreeze.models.classifier import build_classifier, without_augmentation
from unfreeze.training.batches import Batches
from unfreeze.training.custom import Custom
from unfreeze.training.phase import train_phase
from unfreeze.training.regimen import early_stopping, follow, rate_over_time, scale_steps

OPTIMIZERS = [
    keras.optimizers.SGD(0.1, momentum=0.9),
    keras.optimizers.Adam(0.1),
    keras.optimizers.AdamW(0.1, weight_decay=0.3),
    keras.optimizers.Nadam(0.1),
    keras.optimizers.RMSprop(0.1),
    keras.optimizers.Lion(0.1),
    keras.optimizers.Adagrad(0.1),
    keras.optimizers.Adadelta(0.1),
    keras.optimizers.Adamax(0.1),
    keras.optimizers.Adafactor(0.1),
    keras.optimizers.Lamb(0.1),
    keras.optimizers.Muon(0.1, exclude_embeddings=False),
]


class Rows:
    """Photos as the network takes them in, the same in every epoch."""

    def __init__(self, photos: np.ndarray):
        self._photos = photos

    def __len__(self) -> int:
        return len(self._photos)

    def take(self, indices: np.ndarray, epoch: int) -> np.ndarray:
        return self._photos[indices]


def number(value: Any) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(value))


def fresh(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    return type(optimizer).from_config(optimizer.get_config())


@pytest.mark.parametrize("given", OPTIMIZERS, ids=lambda each: type(each).__name__)
def test_a_step_is_scaled_as_a_whole_whatever_the_optimizer(given):
    """The first step, of which nothing later depends on how far it went."""
    draw = np.random.default_rng(0)
    starts = [draw.normal(size=(4, 3)).astype("float32") for _ in range(3)]
    gradients = [draw.normal(size=(4, 3)).astype("float32") for _ in range(3)]
    moves = []
    for factors in ((1, 1, 1), (0.5, 0.25, 1)):
        variables = [keras.Variable(start) for start in starts]
        optimizer = fresh(given)
        scale_steps(optimizer, {id(each): factor for each, factor in zip(variables, factors, strict=True)})
        optimizer.build(variables)
        optimizer.apply([keras.ops.convert_to_tensor(each) for each in gradients])
        moves.append([number(each) - start for each, start in zip(variables, starts, strict=True)])
    for full, part, factor in zip(*moves, (0.5, 0.25, 1), strict=True):
        assert np.abs(full).min() > 1e-5
        np.testing.assert_allclose(part, factor * full, rtol=1e-3, atol=3e-7)


@pytest.mark.parametrize("kind", [keras.optimizers.Adam, keras.optimizers.Nadam, keras.optimizers.AdamW])
def test_rates_by_depth_are_as_good_as_an_optimizer_for_each_depth(kind):
    draw = np.random.default_rng(1)
    starts = draw.normal(size=(2, 5)).astype("float32")
    together = [keras.Variable(start) for start in starts]
    apart = [keras.Variable(start) for start in starts]
    scaled, full, half = kind(0.02), kind(0.02), kind(0.01)
    scale_steps(scaled, {id(together[1]): 0.5})
    scaled.build(together)
    full.build([apart[0]])
    half.build([apart[1]])
    for _ in range(20):
        gradients = [keras.ops.convert_to_tensor(each.astype("float32")) for each in draw.normal(size=(2, 5))]
        scaled.apply(gradients)
        full.apply(gradients[:1])
        half.apply(gradients[1:])
    for mine, theirs, start in zip(together, apart, starts, strict=True):
        assert np.abs(number(mine) - start).max() > 0.02
        np.testing.assert_allclose(number(mine), number(theirs), atol=2e-6)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenet", "vgg16"])
def test_depths(name):
    backbone = build_backbone(name, 64, weights=None)
    blocks, found = find_blocks(backbone), depths(backbone)
    assert found == sorted(found, reverse=True)
    assert found[-1] == found[blocks[-1].first] == 1
    assert found[blocks[-2].last] == 2
    assert found[blocks[0].first] == len(blocks)
    assert found[0] == len(blocks) + 1


def test_without_blocks_there_is_no_depth():
    with pytest.raises(LayerError, match=r"tiny's layers don't tell its blocks, so `layer_decay` has no depth"):
        depths(tiny_backbone())


def blocks_backbone() -> keras.Model:
    """The tiny backbone with layers' names that tell two blocks."""
    backbone = tiny_backbone()
    for layer, name in zip(backbone.layers[2:], [f"block{n}_{part}" for n in (1, 2) for part in "abc"], strict=True):
        layer.name = name
    return backbone


def trained(phase: Phase, custom: Custom | None = None, batches: Batches | None = None, **model: Any) -> keras.Model:
    """Train all layers of the tiny network in one phase."""
    classifier = build_classifier(blocks_backbone(), 3, seed=1, **model)
    photos, labels = tiny_photos(30)
    batches = batches or Batches(Rows(photos), labels, 8, seed=1)
    layers = [layer.name for layer in classifier.layers[1].layers]
    rate = phase.learning_rate or 0.01
    part = without_augmentation(classifier)
    train_phase(classifier, part, layers, rate, batches, None, range(phase.epochs), [], custom, None, phase)
    return part


def test_layer_decay_in_training():
    """One step of Adam moves each weight by its learning rate, but for its epsilon."""
    start = trained(Phase(epochs=1, learning_rate=1e-9))
    photos, labels = tiny_photos(8)
    batches = Batches(Rows(photos), labels, 8)
    end = trained(Phase(epochs=1, learning_rate=1e-3, layer_decay=0.5), batches=batches)
    factors = {"conv1": 0.25, "bn1": 0.25, "conv2": 0.5, "bn2": 0.5, "head": 1.0}
    for before, after in zip(start.trainable_variables, end.trainable_variables, strict=True):
        factor = next(value for name, value in factors.items() if name in after.path)
        moved = np.abs(number(after) - number(before))
        np.testing.assert_allclose(moved.max(), factor * 1e-3, rtol=0.02)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("warm", [0, 4])
def test_the_rate_of_every_step(schedule, warm):
    steps, rate = 20, 0.3
    if schedule == "constant" and not warm:
        return
    given = [float(number(rate_over_time(rate, steps, warm, schedule)(step))) for step in range(steps + 1)]
    rising = [rate * step / warm for step in range(warm)]
    share = np.arange(steps - warm + 1) / (steps - warm)
    then = rate * (1 + np.cos(np.pi * share)) / 2 if schedule == "cosine" else np.full(steps - warm + 1, rate)
    np.testing.assert_allclose(given, [*rising, *then], atol=1e-7)


def test_the_schedule_spans_the_phase():
    for phase in (Phase(epochs=3, schedule="cosine"), Phase(epochs=3, schedule="cosine", warmup=1.5)):
        optimizer: Any = trained(phase).optimizer
        assert int(optimizer.iterations) == 12
        assert float(number(optimizer.learning_rate)) == pytest.approx(0, abs=1e-9)
        schedule = optimizer._learning_rate
        assert float(number(schedule(round(phase.warmup * 4)))) == pytest.approx(0.01)


def test_weight_decay_is_decoupled_and_not_of_biases_and_normalization():
    """Where the gradient is zero only the decay is left: each step takes off rate * decay of a weight."""
    photos, labels = tiny_photos(30)
    still = Batches(Rows(photos), labels, 8, weights=np.zeros(30, "float32"))
    start = trained(Phase(epochs=1), batches=still)
    for custom in (None, Custom(optimizer=keras.optimizers.SGD(momentum=0.9))):
        end = trained(Phase(epochs=2, learning_rate=0.1, weight_decay=0.2, layer_decay=0.5), custom, still)
        for before, after in zip(start.trainable_variables, end.trainable_variables, strict=True):
            depth = 0 if "head" in after.path else 1 if "2/" in after.path else 2
            left = (1 - 0.1 * 0.2 * 0.5**depth) ** 8 if len(after.shape) > 1 else 1
            np.testing.assert_allclose(number(after), number(before) * left, rtol=1e-5, atol=1e-7)


def test_averaged_weights_are_what_is_left():
    """The average is followed outside, from the weights after each step."""
    seen: list[list[np.ndarray]] = []

    class Seen(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            model: Any = self.model
            if hasattr(model, "jax_state_sync"):
                model.jax_state_sync()
            seen.append([number(each) for each in model.trainable_variables])

    end = trained(Phase(epochs=2, ema=0.8), Custom(callbacks=[Seen()]))
    assert len(seen) == 8
    average = seen[0]
    for weights in seen[1:]:
        average = [0.8 * old + 0.2 * new for old, new in zip(average, weights, strict=True)]
    for mine, expected, last in zip(end.trainable_variables, average, seen[-1], strict=True):
        np.testing.assert_allclose(number(mine), expected, rtol=1e-4, atol=1e-6)
        assert not np.allclose(number(mine), last, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "key", "what"),
    [
        (keras.optimizers.AdamW(), {"weight_decay": 0.1}, "a weight decay of its own, and the recipe has `weight_dec"),
        (keras.optimizers.Adam(use_ema=True), {"ema": 0.1}, "averaged weights of its own"),
        (keras.optimizers.Adam(rate_over_time(0.1, 9, 0, "cosine")), {"schedule": "cosine"}, "has a schedule"),
        (keras.optimizers.Adam(rate_over_time(0.1, 9, 0, "cosine")), {"warmup": 1.0}, "the recipe has `warmup`"),
    ],
)
def test_what_the_optimizer_has_of_its_own_is_not_doubled(optimizer, key, what):
    with pytest.raises(RecipeError, match=what):
        trained(Phase(**key), Custom(optimizer=optimizer))


def test_the_optimizer_inside_one_that_scales_the_loss():
    backbone = blocks_backbone()
    weight = backbone.layers[2].kernel  # two blocks from the head
    before, outer = number(weight), keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    follow(outer, [weight], Phase(layer_decay=0.5), backbone, 1, 1)
    outer.inner_optimizer.build([weight])  # of which the outer one makes use
    outer.inner_optimizer.apply([keras.ops.ones(weight.shape)])
    np.testing.assert_allclose(number(weight) - before, np.full(before.shape, -0.1 / 4), rtol=1e-4)


def test_patience_ends_a_phase_and_puts_its_best_weights_back():
    """With validation labels that contradict the training labels, the first epoch is the best."""
    photos, labels = tiny_photos(30)
    after_each: list[list[np.ndarray]] = []

    class AfterEach(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            model: Any = self.model
            after_each.append([number(each) for each in model.trainable_variables])

    classifier = build_classifier(tiny_backbone(), 3, seed=1)
    part = without_augmentation(classifier)
    batches, validation = Batches(Rows(photos), labels, 8, seed=1), Batches(Rows(photos), (labels + 1) % 3, 8)
    custom = Custom(callbacks=[AfterEach(), early_stopping(2)])
    train_phase(classifier, part, ["conv2"], 0.01, batches, validation, range(9), [], custom)
    assert len(after_each) == 3
    for mine, best, last in zip(part.trainable_variables, after_each[0], after_each[-1], strict=True):
        np.testing.assert_array_equal(number(mine), best)
        assert (best != last).any()
