"""Files from strangers: nothing in them is executed, and they lead nowhere else.

Archives and pickles have tests beside their code (`tests/data/test_archive.py` and
`tests/models/test_torch_checkpoint.py`), models with code in `tests/inference/test_predictor.py` and
`tests/models/test_own_backbone.py`.
"""

import json

import h5py
import keras
import pytest

from tests.tiny import tiny_backbone
from unfreeze.errors import RecipeError, RunError
from unfreeze.inference.finished import described
from unfreeze.models.classifier import build_classifier
from unfreeze.report.history import read_stages
from unfreeze.series.folders import RunFolder, SeriesFolder, read_yaml
from unfreeze.series.recipe import read_recipe, recipe_of_folder

EVIL = "!!python/object/apply:os.system ['touch %s']"


def test_tags_in_yaml_make_nothing(tmp_path):
    made = tmp_path / "made"
    file = tmp_path / "config.yaml"
    file.write_text("image_size: " + EVIL % made)
    with pytest.raises(RunError, match=r"config\.yaml can't be read"):
        read_yaml(RunFolder(tmp_path).config)
    (tmp_path / "classes.json").write_text("[]")
    with pytest.raises(RunError, match="can't be loaded"):
        described(tmp_path)
    with pytest.raises(RecipeError):
        read_recipe(file)
    assert recipe_of_folder(file) == {}
    assert not made.exists()
    assert SeriesFolder(tmp_path).runs("a") == []


@pytest.mark.parametrize("path", ["../../elsewhere/experiments/a/seed-0", "experiments/../../x", "C:\\x"])
def test_a_lineage_that_leads_out_is_refused(tmp_path, path):
    run = tmp_path / "out" / "experiments" / "a" / "seed-0"
    run.mkdir(parents=True)
    (run / "history.csv").write_text("epoch,loss,accuracy,val_loss,val_accuracy,learning_rate\n1,1,1,1,1,1\n")
    (run / "lineage.json").write_text(json.dumps({"parent": {"path": path, "checkpoint": "best"}}))
    with pytest.raises(RunError, match=r"lineage\.json is damaged"):
        read_stages(run)


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_weights_that_point_to_another_file_are_not_read(tmp_path):
    """As in CVE-2025-9905 and its like: an external link makes HDF5 read any other HDF5 file of this machine."""
    classifier = build_classifier(tiny_backbone(), 2)
    secret, file = tmp_path / "secret.weights.h5", tmp_path / "best.weights.h5"
    classifier.save_weights(secret)
    classifier.save_weights(file)
    with h5py.File(file, "r+") as weights:
        names: list[str] = []
        weights.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        shape = tuple(classifier.get_layer("head").kernel.shape)
        name = next(name for name in names if weights[name].shape == shape)
        del weights[name]
        weights[name] = h5py.ExternalLink(str(secret), name)
    before = keras.ops.convert_to_numpy(classifier.get_layer("head").weights[0]).copy()
    classifier.get_layer("head").weights[0].assign(before * 0)
    with pytest.raises(Exception, match=r"(?i)external|link|not allowed|not a dataset"):
        classifier.load_weights(file)
    assert not keras.ops.convert_to_numpy(classifier.get_layer("head").weights[0]).any()
