"""A photo's augmented views, as training sees them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unfreeze.config import AnyExperiment, AsIs, Experiment
from unfreeze.data.photos import decode, least_sides, resize
from unfreeze.data.views import make_view
from unfreeze.errors import DataError, PhotoError, RecipeError
from unfreeze.inference.finished import finished_run
from unfreeze.inference.predictor import read_file
from unfreeze.report.pictures import save_picture
from unfreeze.report.style import Picture
from unfreeze.report.view_gallery import view_gallery
from unfreeze.series.folders import RunFolder
from unfreeze.series.lineage import read_settings
from unfreeze.series.recipe import read_recipe, resolve, shipped_recipes


@dataclass(frozen=True, eq=False)
class ShownViews:
    """A photo, its views, and the picture of them.

    Attributes:
        photo: its path, as it was given.
        pixels: the photo at the size that the network takes, uint8 [size, size, 3].
        views: uint8 [views, size, size, 3]; epoch 1 sees the first one.
        picture: a matplotlib Figure; a notebook shows it by itself.
    """

    photo: str
    pixels: np.ndarray
    views: np.ndarray
    picture: Picture

    def save(self, path: str | Path) -> None:
        """Write the picture as PNG; folders that are missing are made."""
        save_picture(self.picture, Path(path))

    def to_json(self) -> dict[str, Any]:
        """What `unfreeze views --json` prints."""
        return {"photo": self.photo, "views": len(self.views)}

    def _repr_png_(self) -> bytes:
        return self.picture._repr_png_()


def show_views(run: str | Path, photo: str | Path, count: int = 7) -> ShownViews:
    """Draw a photo and its augmented views: the very pixels that training on this photo sees.

    Args:
        run: a RUN folder, `OUT/experiments/NAME/seed-K`, or a recipe: a YAML file or the name of a shipped one, of
            which the first experiment with augmentation counts.
        photo: any photo's file.
        count: how many views; all that training sees if those are fewer.

    Raises:
        RunError: no such finished run.
        RecipeError: mistakes in the recipe, or no augmentation.
        DataError: the photo can't be read.
    """
    settings = _settings(run)
    if isinstance(settings, AsIs) or not settings.augment:
        raise RecipeError(
            f"{settings.name} is trained without augmentation, so it sees no views. Name a run or a recipe "
            "that augments."
        )
    size = settings.image_size
    try:
        data = read_file(Path(photo))
        pixels = resize(decode(data, least_sides(size, settings.resize)), size, settings.resize)
    except PhotoError as error:
        raise DataError(f"{photo} {error}.") from error
    sha256 = hashlib.sha256(data).hexdigest()
    numbers = range(min(count, settings.views))
    views = [make_view(pixels, settings.augment, size, settings.view_seed, sha256, number) for number in numbers]
    picture = view_gallery(pixels, views, str(photo), _order(settings))
    return ShownViews(str(photo), pixels, np.stack(views), picture)


def _settings(run: str | Path) -> AnyExperiment:
    if Path(run).suffix not in (".yaml", ".yml") and str(run) not in shipped_recipes():
        return read_settings(RunFolder(finished_run(run)))
    experiments = resolve(read_recipe(run))
    trained = [each for each in experiments if isinstance(each, Experiment)]
    return next((each for each in trained if each.augment), experiments[0])


def _order(settings: Experiment) -> str:
    if settings.views == settings.epochs:
        return f"{settings.name}: each of its {settings.epochs} epochs sees another view"
    return f"{settings.name}: its {settings.epochs} epochs see {settings.views} views in turn"
