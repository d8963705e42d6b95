"""The ejected script: plain, well-formed, and the same series as unfreeze's own."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from tests.conftest import rows

import unfreeze
from unfreeze.config import Augmentation
from unfreeze.data import views
from unfreeze.data.catalog import pixel_store
from unfreeze.errors import DataError, RecipeError, RunError
from unfreeze.evaluation.calibration import calibrate
from unfreeze.evaluation.predictions import read_predictions
from unfreeze.models.backbones import build_backbone
from unfreeze.series.plain_keras import network_function
from unfreeze.series.random_view import RandomView
from unfreeze.series.recipe import check_recipe, read_recipe, shipped_recipes

SAME_HEAD = """
import functools, runpy, sys
sys.modules["unfreeze"] = None  # importing it fails
import keras
import numpy as np
first_weights = keras.initializers.GlorotUniform(seed=0)
keras.layers.Dense = functools.partial(keras.layers.Dense, kernel_initializer=first_weights)
names = runpy.run_path(sys.argv[1], run_name="__main__")
model, test = names["model"], names["dataset"]("test", 1.0, 64)
np.savez(
    sys.argv[2],
    loss=model.history.history["loss"],
    val_loss=model.history.history["val_loss"],
    trainable=sum(int(np.prod(weight.shape)) for weight in model.trainable_weights),
    train=[photo["path"] for photo in names["photos"]("train", 0.5)],
    pixels=np.concatenate([photos for photos, _ in test]),
    labels=np.concatenate([labels for _, labels in test]),
    probabilities=model.predict(test, verbose=0),
)
"""
"""Runs a script whose heads begin with the weights that unfreeze draws, and saves what it did last."""


@pytest.fixture(scope="module")
def ejected(solar_cells, recipe, tmp_path_factory):
    """The small series as a script."""
    return unfreeze.eject(recipe, solar_cells, tmp_path_factory.mktemp("ejected") / "new" / "script.py")


def python(*arguments: object, **environment: str) -> None:
    """Run Python in a process of its own."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def ruff(*arguments: object) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("ruff"), *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def assert_well_formed(script: Path) -> None:
    """Check style by this project's rules and by ruff's own."""
    compile(script.read_text(encoding="utf-8"), script, "exec")
    for options in (["--isolated"], ["--config", Path("pyproject.toml").resolve()]):
        ruff("check", "--no-cache", *options, script)
        ruff("format", "--no-cache", "--check", *options, script)


def test_a_recipe_that_no_plain_script_can_follow(solar_cells, tmp_path):
    with pytest.raises(RecipeError, match=r"experiments.best: a script can't be written for `solver: lbfgs`"):
        unfreeze.eject("elpv_best", solar_cells, tmp_path / "script.py")


@pytest.mark.parametrize("name", [name for name in shipped_recipes() if name != "elpv_best"])
def test_shipped_recipes(name, solar_cells, tmp_path):
    script = unfreeze.eject(name, solar_cells, tmp_path / f"{name}.py", overrides=["data.image_size=64"])
    assert_well_formed(script)
    text = script.read_text(encoding="utf-8")
    trained = [key for key, own in read_recipe(name).experiments.items() if getattr(own, "kind", None) != "as_is"]
    assert re.findall(r"^# %% (\w+): .* photos$", text, re.MULTILINE) == trained
    assert not re.search(r"^\s*(import|from) unfreeze", text, re.MULTILINE)


def test_what_lies_beside_the_script(ejected, series):
    beside = {file.name for file in ejected.parent.iterdir()}
    assert beside == {"script.py", "splits.csv", "efficientnet_lite0_64.keras"}
    assert (ejected.parent / "splits.csv").read_bytes() == (series / "splits.csv").read_bytes()
    network = keras.saving.load_model(ejected.parent / "efficientnet_lite0_64.keras")
    imagenet = build_backbone("efficientnet_lite0", 64)
    assert [layer.name for layer in network.layers] == [layer.name for layer in imagenet.layers]
    for mine, theirs in zip(network.get_weights(), imagenet.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_one_section_an_experiment(ejected):
    assert_well_formed(ejected)
    sections = ejected.read_text(encoding="utf-8").split("\n# %% ")
    assert sections[-3:-1] == [
        "model_3: fine-tuning of model_2, on 30% of the photos\n"
        "model, backbone = build_model(AUGMENTATION)\n"
        'model.load_weights(CHECKPOINTS / "model_2.weights.h5")\n'
        "unfreeze_last(10, backbone)\n"
        'train("model_3", model, learning_rate=0.0001, epochs=2, fraction=0.3)\n'
        'evaluate("model_3", model)\n',
        "model_4: fine-tuning of model_2, on 100% of the photos\n"
        "model, backbone = build_model(AUGMENTATION_1)\n"
        'model.load_weights(CHECKPOINTS / "model_2.last.weights.h5")\n'
        "# from the layer block15_expand_conv on\n"
        "unfreeze_last(11, backbone)\n"
        'train("model_4", model, learning_rate=0.0001, epochs=2)\n'
        'evaluate("model_4", model)\n',
    ]
    assert sections[-4].startswith("model_2: feature extraction, on 30% of the photos\nmodel, backbone = build_model(")
    assert 'model.save_weights(CHECKPOINTS / "model_2.last.weights.h5")\nevaluate(' in sections[-4]
    assert "uses some views of a photo in turn; here each epoch draws its own." in sections[0]


def test_stages_and_settings_of_their_own(solar_cells, tmp_path):
    recipe = check_recipe(
        {
            "name": "stages",
            "data": {"image_size": 64, "validation": "test"},
            "experiments": {
                "staged": {
                    "phases": [
                        {"epochs": 2},
                        {"unfreeze": {"blocks": 1}, "epochs": 3},
                        {"unfreeze": "all", "epochs": 1},
                        {"epochs": 1},
                    ]
                },
                "a-name-that-is-so-long-that-nothing-with-it-can-stand-on-one-line": {
                    "backbone": "mobilenet",
                    "fraction": 0.125,
                    "data": {"image_size": 96, "batch_size": 4},
                },
            },
        },
        "recipe",
    )
    script = unfreeze.eject(recipe, solar_cells, tmp_path / "stages.py")
    assert_well_formed(script)
    text = script.read_text(encoding="utf-8")
    assert text.split("\n# %% ")[-3] == (
        "staged: fine-tuning, on 100% of the photos\n"
        "model, backbone = build_model()\n"
        'train("staged", model, learning_rate=0.001, epochs=2)\n'
        "# from the layer block15_expand_conv on\n"
        "unfreeze_last(11, backbone)\n"
        'train("staged", model, learning_rate=0.0001, epochs=3, first_epoch=2)\n'
        "unfreeze_last(len(backbone.layers), backbone)\n"
        'train("staged", model, learning_rate=0.0001, epochs=1, first_epoch=5)\n'
        "backbone.trainable = False\n"
        'train("staged", model, learning_rate=0.001, epochs=1, first_epoch=6)\n'
        'evaluate("staged", model)\n'
    )
    assert "model, backbone = build_model(network=mobilenet, image_size=96)\n" in text
    assert "    fraction=0.125,\n    batch_size=4,\n)\n" in text
    assert 'validation_data=dataset("test", 1.0, image_size)' in text
    assert "The test photos also choose the best epoch" in text
    assert not list(tmp_path.glob("mobilenet*"))


def test_the_script_unfreezes_more_than_before_and_less(ejected):
    source = ast.parse(ejected.read_text(encoding="utf-8"))
    (function,) = (part for part in source.body if isinstance(part, ast.FunctionDef) and part.name == "unfreeze_last")
    names = {}
    exec(ast.unparse(function), names)
    backbone = keras.Sequential([keras.layers.Dense(1) for _ in range(4)])
    backbone.trainable = False
    for count in (1, 3, 2, 4):
        names["unfreeze_last"](count, backbone)
        assert [layer.trainable for layer in backbone.layers] == [False] * (4 - count) + [True] * count


def test_without_validation_the_last_epoch_is_kept(solar_cells, recipe, tmp_path):
    text = unfreeze.eject(recipe, solar_cells, tmp_path / "a.py", overrides=["data.validation=0"]).read_text()
    assert "validation_data" not in text
    assert "save_best_only" not in text
    assert "Keep the last epoch's weights" in text


def test_only_some_experiments(solar_cells, recipe, tmp_path):
    text = unfreeze.eject(recipe, solar_cells, tmp_path / "a.py", only=["model_3"]).read_text()
    assert re.findall(r"^evaluate\((.*), model\)", text, re.MULTILINE) == ['"model_3"']
    with pytest.raises(RecipeError, match=r"--only model_9: there is no such experiment; there are model_0, model_1"):
        unfreeze.eject(recipe, solar_cells, tmp_path / "b.py", only=["model_9"])


def test_nothing_is_replaced(solar_cells, recipe, tmp_path):
    script = unfreeze.eject(recipe, solar_cells, tmp_path / "script.py")
    assert unfreeze.eject(recipe, solar_cells, script) == script  # the same again
    with pytest.raises(RunError, match=r"script\.py is there already and is something else\. Give another --out"):
        unfreeze.eject(recipe, solar_cells, script, overrides=["epochs=3"])
    with pytest.raises(RunError, match=r"splits\.csv is there already and is something else"):
        unfreeze.eject(recipe, solar_cells, tmp_path / "other.py", overrides=["split_seeds=[1]"])
    assert not (tmp_path / "other.py").exists()


def test_photos_that_tensorflow_does_not_read(solar_cells, recipe, tmp_path):
    photos = tmp_path / "photos"
    shutil.copytree(solar_cells, photos)
    first = min((photos / "defective").iterdir())
    with Image.open(first) as image:
        exif = image.getexif()
        exif[0x0112] = 6
        image.convert("RGB").save(photos / "defective" / "turned.jpg", exif=exif)
        image.convert("RGBA").rotate(45).save(photos / "defective" / "transparent.png")
    text = unfreeze.eject(recipe, photos, tmp_path / "script.py").read_text()
    assert "\nunfreeze does, and 2 of 82 photos need it.\n" in text

    with Image.open(first) as image:
        image.rotate(90).save(photos / "defective" / "new.webp")
    with pytest.raises(DataError) as error:
        unfreeze.eject(recipe, photos, tmp_path / "again.py")
    assert str(error.value) == (
        "TensorFlow reads JPEG, PNG and GIF, but 1 of 83 photos are of another kind, such as defective/new.webp. Save "
        "them as one of these; `unfreeze run` needs no script and takes them as they are."
    )


def test_a_parent_outside_the_recipe(solar_cells, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").touch()
    content = {"name": "b", "data": {"image_size": 64}, "experiments": {"b": {"from": str(run), "unfreeze": 10}}}
    with pytest.raises(RecipeError, match=r"experiments\.b starts from the run .*Put that experiment into the recipe"):
        unfreeze.eject(check_recipe(content, "recipe"), solar_cells, tmp_path / "b.py")


@pytest.mark.parametrize(
    "augment",
    [
        Augmentation(flip="horizontal_and_vertical", rotation=0.1, zoom=0.2, height=0.3, width=0.1),
        Augmentation(flip="horizontal", rotation=0.2),
        Augmentation(width=0.2),
    ],
)
def test_views_mean_what_those_of_unfreeze_mean(augment, solar_cells, monkeypatch):
    """From the same random numbers the script makes the same view of a photo."""
    settings = {key: value for key, value in augment.model_dump(exclude={"views"}).items() if value}
    with Image.open(min((solar_cells / "defective").iterdir())) as image:
        photo = np.array(image.convert("RGB").resize((64, 64)))
    for view in range(4):
        left_right, top_bottom, *others = (2 * number - 1 for number in views._uniforms(f"0:name:{view}"))
        flips = {"horizontal": [left_right], "horizontal_and_vertical": [left_right, top_bottom]}
        drawn = iter([*flips.get(augment.flip, []), *others])
        monkeypatch.setattr(keras.random, "uniform", lambda shape, low, high, seed: np.full(shape, next(drawn) * high))  # noqa: B023
        theirs = RandomView(**settings)(photo[None].astype("float32"), training=True)[0]
        ours = views.make_view(photo, augment, 64, 0, "name", view)
        assert np.abs(np.asarray(theirs) - ours).max() <= 2
        assert np.abs(np.asarray(theirs) - ours).mean() < 0.5
        assert not np.array_equal(ours, photo)


def test_views_are_drawn_for_each_photo_and_in_training_only():
    photos = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)), 8, axis=0).astype("float32")
    layer, again = (RandomView(flip="horizontal", rotation=0.2, zoom=0.2, seed=1) for _ in range(2))
    np.testing.assert_array_equal(layer(photos), photos)
    drawn = [np.asarray(layer(photos, training=True)) for _ in range(2)]
    assert len({view.tobytes() for batch in drawn for view in batch}) == 16
    np.testing.assert_array_equal(again(photos, training=True), drawn[0])


@pytest.mark.parametrize("name", ["mobilenet", "vgg16", "densenet121", "efficientnetv2b0"])
def test_networks_of_keras_are_those_of_unfreeze(name):
    """Same pixels in, same features out, and the same layers from the end; random weights, since no net is needed."""
    names = {"keras": keras, "InferenceMode": lambda network: lambda x: network(x, training=False)}
    exec(network_function(name).replace('"imagenet"', "None"), names)
    photo = keras.Input((96, 96, 3))
    network, features = names[name](photo)
    ours = build_backbone(name, 96, weights=None)
    ours.set_weights(network.get_weights())
    photos = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3)).astype("float32")
    mine, theirs = ours(photos), keras.Model(photo, features)(photos)
    assert np.ptp(mine) > 0
    np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4 * np.max(np.abs(theirs)))
    count = min(len(network.layers), len(ours.layers)) - 5  # the input and preprocessing
    for mine, theirs in zip(ours.layers[-count:], network.layers[-count:], strict=True):
        assert (type(mine), mine.output.shape) == (type(theirs), theirs.output.shape)
        for weight, other in zip(mine.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, other)


@pytest.fixture(scope="module")
def trained_by_both(solar_cells, tmp_path_factory):
    """One experiment by unfreeze and, from the same first weights, by its script: (OUT, what the script did).

    Each step takes all photos, none is augmented, and those for training need no resizing, so that nothing drawn or
    rounded makes a difference.
    """
    folder = tmp_path_factory.mktemp("both")
    for label in ("defective", "functional"):
        for split in ("train", "test"):
            (folder / "photos" / split / label).mkdir(parents=True)
        for number, file in enumerate(sorted((solar_cells / label).iterdir())):
            if number < 10:
                shutil.copy(file, folder / "photos" / "test" / label)
            else:
                with Image.open(file) as image:
                    image.resize((64, 64)).save(folder / "photos" / "train" / label / f"{number}.png")
    content = {
        "name": "both",
        "data": {"source": str(folder / "photos"), "image_size": 64, "batch_size": 64, "validation": 0.2},
        "precision": "float32",
        "experiments": {"a": {"fraction": 0.5, "unfreeze": 10, "epochs": 3}},
    }
    recipe = check_recipe(content, "recipe")
    unfreeze.run(recipe, out=folder / "out")
    script = unfreeze.eject(recipe, out=folder / "script.py")
    (folder / "driver.py").write_text(SAME_HEAD)
    python(folder / "driver.py", script, folder / "made.npz")
    return folder / "out", np.load(folder / "made.npz")


@pytest.mark.slow
def test_the_script_sees_the_same_photos(trained_by_both, cache):
    out, made = trained_by_both
    splits = rows(out / "splits.csv")
    first = [row for row in splits if row["split"] == "train" and int(row["rank"]) < 15]  # half of 30 in each class
    assert len(first) == 30
    assert made["train"].tolist() == [row["path"] for row in first]
    test = [row for row in splits if row["split"] == "test"]
    assert made["labels"].tolist() == [["defective", "functional"].index(row["label"]) for row in test]
    pixels = pixel_store(cache, 64, "squash").read([row["sha256"] for row in test])
    difference = np.abs(made["pixels"].astype(float) - pixels)
    assert difference.mean() < 0.1  # Pillow rounds twice, once for each direction
    assert difference.max() <= 2


@pytest.mark.slow
def test_the_script_trains_the_same(trained_by_both):
    out, made = trained_by_both
    run = out / "experiments" / "a" / "seed-0"
    entry = json.loads((out / "results.json").read_text())["experiments"][0]
    assert int(made["trainable"]) == entry["trainable_parameters"]
    history = rows(run / "history.csv")
    # Adam makes much of rounding where a gradient is near zero, and ours multiplies matrices where Keras convolves
    np.testing.assert_allclose(made["loss"], [float(row["loss"]) for row in history], rtol=5e-3)
    np.testing.assert_allclose(made["val_loss"], [float(row["val_loss"]) for row in history], rtol=5e-3)
    predictions = read_predictions(run / "predictions.csv")
    temperature = json.loads((run / "metrics.json").read_text())["temperature"]
    mine = calibrate(predictions.probabilities, 1 / temperature)
    np.testing.assert_allclose(made["probabilities"], mine, atol=0.05)  # resized by each
    right = np.argmax(made["probabilities"], axis=1) == predictions.labels
    results = json.loads((out.parent / "results.json").read_text())
    assert results["accuracies"]["a"] == pytest.approx(right.mean(), abs=1e-6)
    assert list((out.parent / "tensorboard" / "a" / "validation").glob("events.*"))


@pytest.mark.slow
def test_test_accuracies_agree_within_the_spread_of_seeds(tmp_path):
    """A tenth of the solar cells, three seeds, heads and orders drawn by each side; tested on 656 photos.

    Over seeds an accuracy has a standard deviation of 0.01 to 0.03 here, so means of three differ by chance by up to
    0.04.
    """
    names = ["model_2", "model_3"]
    overrides = ["data.image_size=96"]
    unfreeze.run("demo", out=tmp_path / "out", only=names, seeds=3, overrides=overrides)
    entries = json.loads((tmp_path / "out" / "results.json").read_text())["experiments"]
    script = unfreeze.eject("demo", out=tmp_path / "script.py", only=names, overrides=overrides)
    without_unfreeze = "import sys, runpy; sys.modules['unfreeze'] = None; runpy.run_path(sys.argv[1])"
    accuracies = []
    for seed in range(3):
        python("-c", without_unfreeze, script, SEED=str(seed))
        accuracies.append(json.loads((tmp_path / "results.json").read_text())["accuracies"])
    for name in names:
        ours = [entry["test"]["accuracy"] for entry in entries if entry["name"] == name]
        theirs = [each[name] for each in accuracies]
        assert len(set(theirs)) > 1  # seeds do something
        assert abs(np.mean(ours) - np.mean(theirs)) < 0.04, (name, ours, theirs)
