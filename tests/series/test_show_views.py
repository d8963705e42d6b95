"""A photo's views: the very pixels that training reads, for a run and for a recipe."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import unfreeze
from unfreeze.data.cache_folder import cache_folder
from unfreeze.data.catalog import pixel_store, scan
from unfreeze.data.inputs import Pixels
from unfreeze.data.sources import open_source
from unfreeze.errors import DataError, RecipeError, RunError
from unfreeze.series.folders import RunFolder
from unfreeze.series.lineage import read_settings


@pytest.fixture(scope="module")
def runs(series: Path) -> Path:
    return series / "experiments"


@pytest.mark.parametrize(("name", "count"), [("model_1", 2), ("model_4", 1)])
def test_the_views_are_what_training_reads(runs, solar_cells, name, count):
    settings = read_settings(RunFolder(runs / name / "seed-0"))
    store = pixel_store(cache_folder(), 64, "squash")
    photos = scan(open_source(solar_cells), store, 64, "squash").photos
    number = 17
    assert settings.augment
    training = Pixels(store, photos, settings.augment, settings.view_seed, settings.views)
    shown = unfreeze.show_views(runs / name / "seed-0", photos[number].file)
    assert shown.views.shape == (count, 64, 64, 3)
    for epoch in range(settings.epochs):
        np.testing.assert_array_equal(shown.views[epoch % count], training.take(np.array([number]), epoch)[0])
    np.testing.assert_array_equal(shown.pixels, Pixels(store, photos).take(np.array([number]))[0])
    drawn = [np.asarray(axes.images[0].get_array()) for axes in shown.picture.axes]
    np.testing.assert_array_equal(drawn, [shown.pixels, *shown.views])
    assert shown.to_json() == {"photo": str(photos[number].file), "views": count}


def test_a_recipe_shows_the_same_before_anything_is_trained(runs, recipe, solar_cells):
    photo = sorted((solar_cells / "defective").iterdir())[0]
    trained, planned = (unfreeze.show_views(each, photo) for each in (runs / "model_1" / "seed-0", recipe))
    np.testing.assert_array_equal(trained.views, planned.views)
    assert len(unfreeze.show_views("food_vision", photo, count=3).views) == 3


def test_the_picture_is_written_and_a_notebook_shows_it(runs, solar_cells, tmp_path):
    photo = sorted((solar_cells / "defective").iterdir())[0]
    shown = unfreeze.show_views(runs / "model_2" / "seed-0", photo, count=1)
    shown.save(tmp_path / "new" / "x.png")
    with Image.open(tmp_path / "new" / "x.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > picture.height  # two side by side
    with Image.open(io.BytesIO(shown._repr_png_())) as again:
        assert again.size == picture.size
    (text,) = [text.get_text() for text in shown.picture.texts if "epochs" in text.get_text()]
    assert text == "model_2: each of its 2 epochs sees another view"


def test_what_has_no_views(runs, solar_cells, tmp_path):
    photo = sorted((solar_cells / "defective").iterdir())[0]
    with pytest.raises(RecipeError) as error:
        unfreeze.show_views(runs / "model_0" / "seed-0", photo)
    assert str(error.value) == (
        "model_0 is trained without augmentation, so it sees no views. Name a run or a recipe that augments."
    )
    (tmp_path / "plain.yaml").write_text("{name: plain, experiments: {a: {}}}")
    with pytest.raises(RecipeError, match=r"^a is trained without augmentation"):
        unfreeze.show_views(tmp_path / "plain.yaml", photo)
    with pytest.raises(DataError, match=r"nothing\.jpg is not there\.$"):
        unfreeze.show_views(runs / "model_1" / "seed-0", tmp_path / "nothing.jpg")
    with pytest.raises(RunError, match=r"^There is no run nowhere"):
        unfreeze.show_views("nowhere", photo)
