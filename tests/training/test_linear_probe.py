"""The head by L-BFGS: against scikit-learn's logistic regression, and as part of a run."""

import keras
import numpy as np
import pytest
import yaml
from sklearn.linear_model import LogisticRegression
from tests.conftest import rows
from tests.tiny import tiny_backbone, tiny_photos

import unfreeze
from unfreeze.errors import RecipeError
from unfreeze.models.classifier import build_classifier, feature_extractor
from unfreeze.training import linear_probe
from unfreeze.training.batches import Batches
from unfreeze.training.linear_probe import fit_head, weight_decay


class Features:
    """Rows that lie in memory."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def take(self, indices, epoch):
        return self.rows[indices]


class Epochs(keras.callbacks.Callback):
    """Notes the head and the figures of every epoch."""

    def __init__(self, classifier):
        super().__init__()
        self.classifier, self.heads, self.logs = classifier, [], []

    def on_epoch_end(self, epoch, logs=None):
        self.heads.append(self.classifier.get_layer("head").get_weights())
        self.logs.append((epoch, logs))


@pytest.fixture
def probe():
    """A classifier with features [n, 6] of training and validation photos, and what fits its head."""
    classifier = build_classifier(tiny_backbone(), 3)
    extractor = feature_extractor(classifier)
    sets = []
    for count, seed in ((150, 0), (60, 1)):
        photos, labels = tiny_photos(count, seed=seed)
        sets.append(Batches(Features(extractor.predict(photos.astype("float32"), verbose=0)), labels, 32))
    part = keras.Sequential([keras.Input((6,)), classifier.get_layer("head")])

    def fit(epochs=range(4)):
        noted = Epochs(classifier)
        fit_head(classifier, part, *sets, epochs, [noted])
        return noted

    return classifier, sets, fit


def test_every_epoch_is_a_logistic_regression(probe):
    _, (train, val), fit = probe
    noted = fit()
    for step, ((kernel, bias), (_, logs)) in enumerate(zip(noted.heads, noted.logs, strict=True), 1):
        expected = LogisticRegression(C=1 / (weight_decay(step) * len(train.labels)), tol=1e-8, max_iter=10_000)
        expected.fit(train.rows.rows, train.labels)
        for name, batches in (("", train), ("val_", val)):
            wanted = expected.predict_proba(batches.rows.rows)
            logits = batches.rows.rows @ kernel + bias
            got = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            np.testing.assert_allclose(got, wanted, atol=0.01)
            loss = -np.log(wanted[np.arange(len(wanted)), batches.labels]).mean()
            assert logs[f"{name}loss"] == pytest.approx(loss, abs=2e-3)
            assert logs[f"{name}accuracy"] == pytest.approx((got.argmax(1) == batches.labels).mean())
    losses = [logs["loss"] for _, logs in noted.logs]
    assert losses == sorted(losses, reverse=True)
    assert [weight_decay(step) for step in (1, 3, 5)] == pytest.approx([0.1, 0.01, 0.001])


def test_epochs_are_counted_through_and_pieces_make_no_difference(probe, monkeypatch):
    classifier, _, fit = probe
    whole = fit(range(5, 7))
    assert [epoch for epoch, _ in whole.logs] == [5, 6]
    assert not classifier.layers[1].trainable_weights
    monkeypatch.setattr(linear_probe, "CHUNK", 40)
    pieces = fit(range(5, 7))
    np.testing.assert_allclose(pieces.heads[-1][0], whole.heads[-1][0], rtol=1e-2, atol=1e-3)


def test_a_callback_can_stop_it(probe):
    classifier, sets, _ = probe
    part = keras.Sequential([keras.Input((6,)), classifier.get_layer("head")])
    stop = keras.callbacks.EarlyStopping("val_loss", mode="max", patience=1)  # the loss falls, so there is no rise
    noted = Epochs(classifier)
    fit_head(classifier, part, *sets, range(5), [noted, stop])
    assert len(noted.logs) == 2


def test_in_a_run_it_is_followed_by_steps(solar_cells, tmp_path, monkeypatch):
    monkeypatch.setenv("UNFREEZE_CACHE", str(tmp_path / "cache"))  # what others left there would be counted, too
    recipe = {
        "name": "probe",
        "data": {"image_size": 64, "batch_size": 8},
        "augment": {"flip": "horizontal"},
        "experiments": {
            "probe": {"solver": "lbfgs"},
            "tuned": {"phases": [{"solver": "lbfgs", "epochs": 2}, {"unfreeze": 5, "epochs": 1}]},
            "turned": {"solver": "lbfgs", "test_views": "flips"},
        },
    }
    (tmp_path / "probe.yaml").write_text(yaml.safe_dump(recipe))
    plans = unfreeze.plan(tmp_path / "probe.yaml", data=solar_cells)
    needed = [plan.forward_images + plan.cached_images for plan in plans]
    # of the one with two phases, the second sees one view, and no other is made
    assert needed == [51 + 9 + 20, 2 * (51 + 9 + 20), 4 * (51 + 9 + 20)]
    out = unfreeze.run(tmp_path / "probe.yaml", data=solar_cells, out=tmp_path / "out").out
    names = ("probe", "tuned", "turned")
    probe, tuned, turned = (rows(out / "experiments" / name / "seed-0" / "history.csv") for name in names)
    assert float(turned[0]["loss"]) != float(probe[0]["loss"])
    assert [row["learning_rate"] for row in probe] == [""] * 5
    assert [row["learning_rate"] for row in tuned] == ["", "", "0.0001"]
    assert [list(row.values()) for row in tuned[:2]] == [list(row.values()) for row in probe[:2]]
    assert float(tuned[2]["loss"]) < 0.1  # steps go on from the fitted head
    losses = [float(row["loss"]) for row in probe]
    assert losses == sorted(losses, reverse=True)
    assert float(probe[-1]["accuracy"]) > 0.9


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"unfreeze": 10}, "unfreeze: 10"),
        ({"learning_rate": 0.1}, "learning_rate: 0.1"),
        ({"engine": "reference"}, "engine"),
    ],
)
def test_what_does_not_go_with_it_is_refused(settings, key, solar_cells, tmp_path):
    recipe = {"name": "probe", "experiments": {"probe": {"solver": "lbfgs", **settings}}}
    (tmp_path / "probe.yaml").write_text(yaml.safe_dump(recipe))
    with pytest.raises(RecipeError, match=f"`solver: lbfgs` fits the head alone.*{key}"):
        unfreeze.run(tmp_path / "probe.yaml", data=solar_cells, out=tmp_path / "out")


def test_heads_and_losses_of_ones_own_are_refused(solar_cells, tmp_path):
    (tmp_path / "probe.yaml").write_text("{name: probe, solver: lbfgs, experiments: {probe: {}}}")
    with pytest.raises(RecipeError, match="not a head or loss of yours"):
        unfreeze.run(tmp_path / "probe.yaml", data=solar_cells, out=tmp_path / "out", loss="categorical_crossentropy")
    with pytest.raises(RecipeError, match="a script can't be written for `solver: lbfgs`"):
        unfreeze.eject(tmp_path / "probe.yaml", data=solar_cells, out=tmp_path / "script.py")
