"""`unfreeze plan`: what a recipe will do, and every mistake that it finds before anything runs."""

import re
import shutil

import pytest

from tests.cli.conftest import refused


@pytest.fixture
def folder(solar_cells, tmp_path):
    """Fifteen photos of one class, fourteen of another."""
    for label, count in (("defective", 15), ("functional", 14)):
        (tmp_path / "cells" / label).mkdir(parents=True)
        for file in sorted((solar_cells / label).iterdir())[:count]:
            shutil.copy(file, tmp_path / "cells" / label)
    return tmp_path / "cells"


def test_json(call, recipe, solar_cells):
    finished = call("plan", recipe, "--data", solar_cells, "--json", "--quiet")
    assert (finished.code, finished.stderr) == (0, "")
    planned = {each["name"]: each for each in finished.json["experiments"]}
    assert list(planned) == ["model_0", "model_1", "model_2", "model_3", "model_4"]
    for each in planned.values():
        assert set(each) >= {
            *("name", "from", "train_images", "unfrozen_layers", "trainable_parameters"),
            *("forward_images", "cached_images", "disk_bytes", "seconds"),
        }
    assert [each["from"] for each in planned.values()] == [None, None, None, "model_2", "model_2"]
    assert [each["train_images"] for each in planned.values()] == [18, 6, 18, 18, 51]
    assert planned["model_0"]["unfrozen_layers"] == []
    assert planned["model_0"]["trainable_parameters"] == 1280 * 2 + 2
    assert planned["model_3"]["unfrozen_layers"][0] == "block15_expand_bn"
    assert len(planned["model_3"]["unfrozen_layers"]) == 10
    assert planned["model_4"]["unfrozen_layers"][0] == "block15_expand_conv"


def test_text(call, recipe, solar_cells):
    finished = call("plan", recipe, "--data", solar_cells, "--seeds", 3)
    assert finished.stderr == "No test split is given: 25% of the photos are kept for test.\n"
    text = finished.stdout
    assert re.search(r" MB are written, and it takes about \d+ s here\.\n$", text)
    assert "model_0: feature extraction from ImageNet's weights, 3 seeds\n  18 photos, 2 epochs\n" in text
    assert "model_3: fine-tuning from model_2, 3 seeds\n" in text
    assert "  unfrozen: 10 layers, from block15_expand_bn to head_relu, cuts through block15\n" in text
    assert "  unfrozen: no layer of the backbone, only the head\n" in text
    assert "  parameters: 2,562 trained, 3,413,024 frozen\n" in text


def test_an_unknown_recipe(call):
    assert refused(call("plan", "demmo")) == (
        "There is no recipe demmo: neither a file of that name nor one of the shipped ones (demo, elpv_best, "
        "elpv_published, food_vision, food_vision_notebook, practice). Give the path of a YAML file, or one of these "
        "names."
    )


def test_all_mistakes_of_a_recipe_at_once(call, tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text(
        "name: wrong\nepoch: 3\nexperiments:\n  a: {epochs: many}\n  b: {from: model_2}\n  c: {fraction: 1.5}\n"
    )
    message = refused(call("plan", file, "--data", "elpv"))
    first, *mistakes = message.splitlines()
    assert first == f"{file} has 4 mistakes:"
    assert sorted(mistake.partition("; allowed")[0] for mistake in mistakes) == [
        "  - epoch: unknown key (did you mean `epochs`?)",
        "  - experiments.a.epochs: expected a whole number, got 'many'",
        "  - experiments.b.from: there is no experiment `model_2`; there are a, b, c",
        "  - experiments.c.fraction: expected less than or equal to 1, got 1.5",
    ]


def test_a_misspelt_layer(call, recipe, solar_cells):
    finished = call("plan", recipe, "--data", solar_cells, "--set", "experiments.model_3.unfreeze=blok15")
    assert refused(finished) == (
        "experiments.model_3: efficientnet_lite0 has no layer or block named 'blok15'. Did you mean block15 or block5 "
        "or block1? `unfreeze` takes a number of layers (at most 142), `all`, or a name such as block0 or head_relu."
    )


def test_a_misspelt_backbone_and_a_wrong_setting(call, recipe, solar_cells):
    message = refused(call("plan", recipe, "--data", solar_cells, "--set", "backbone=efficientnet_lite"))
    assert message.startswith("There is no backbone 'efficientnet_lite'. Did you mean efficientnet_lite")
    message = refused(call("plan", recipe, "--data", solar_cells, "--set", "epochs"))
    assert message == "--set epochs: expected KEY=VALUE, for example --set augment.views=2."


def test_no_photos_are_named(call, recipe):
    assert refused(call("plan", recipe)) == (
        "No photos are named. Give --data FOLDER, or `data: {source: FOLDER}` in the recipe."
    )


def test_folders_that_cannot_be_trained_on(call, recipe, folder, tmp_path):
    missing = tmp_path / "nowhere"
    assert f"{missing} is neither a folder, a file, nor the name" in refused(call("plan", recipe, "--data", missing))
    (tmp_path / "empty").mkdir()
    assert "empty has no class folders" in refused(call("plan", recipe, "--data", tmp_path / "empty"))
    for file in (folder / "functional").iterdir():
        file.write_text("no photo")
    message = refused(call("plan", recipe, "--data", folder, "--allow-bad"))
    assert message.splitlines() == [
        f"cells ({folder}) can't be used:",
        "- No usable photo in the class functional: add some, or remove the folder.",
    ]


def test_a_class_with_one_photo(call, recipe, folder):
    for file in sorted((folder / "functional").iterdir())[1:]:
        file.unlink()
    message = refused(call("plan", recipe, "--data", folder))
    assert message.splitlines() == [
        f"cells ({folder}) can't be used:",
        "- Only one photo to train on in the class functional: at least two are needed.",
    ]


def test_bad_files_stop_above_their_limit_unless_allowed(call, recipe, folder):
    (folder / "functional" / "bad.jpg").write_bytes(b"")
    assert call("plan", recipe, "--data", folder).code == 0  # 1 of 30
    (folder / "functional" / "worse.jpg").write_text("no photo")
    message = refused(call("plan", recipe, "--data", folder))
    assert message.splitlines()[1].startswith(
        "- 2 of 31 files (6.5%) can't be used, more than 5%: functional/bad.jpg is empty; "
        "functional/worse.jpg is no photo"
    )
    assert "--allow-bad" in message
    assert call("plan", recipe, "--data", folder, "--allow-bad").code == 0
