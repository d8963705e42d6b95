"""A series as one plain Keras script that needs nothing of unfreeze, and what it reads."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from unfreeze.config import Experiment, Recipe
from unfreeze.data.catalog import Photo
from unfreeze.data.checkup import ensure_usable
from unfreeze.data.photos import ORIENTATION_TAG, first_bytes
from unfreeze.errors import DataError, RecipeError, RunError
from unfreeze.files import file_sha256, replace_text, write_atomically
from unfreeze.models.backbones import build_backbone, pretrained_backbone
from unfreeze.progress import say
from unfreeze.series.photos import open_photos
from unfreeze.series.plain_keras import comes_with_keras, identifier, plain_keras_script
from unfreeze.series.plan import check_layers
from unfreeze.series.recipe import complete_recipe, parent_name, resolve
from unfreeze.series.run import with_parents

TENSORFLOW_READS = re.compile(rb"\xff\xd8\xff|\x89PNG|GIF8")
"""How the files begin that `tf.io.decode_image` decodes whatever their depth: JPEG, PNG and GIF."""


def eject(
    recipe: str | Path | Recipe,
    data: str | Path | None = None,
    out: str | Path | None = None,
    only: Sequence[str] = (),
    overrides: Iterable[str] = (),
    allow_bad: bool = False,
) -> Path:
    """Write a recipe as one plain Keras script; nothing is trained.

    Beside the script go `splits.csv` and, of backbones that `keras.applications` does not have, the network with
    ImageNet's weights.

    Args:
        recipe: a YAML file, the name of a shipped recipe, or a `Recipe`.
        data: photos to use in place of the recipe's.
        out: the script (default: `NAME/NAME.py`, after the recipe's name).
        only: names of the experiments to write; those that they start from, if not named, must have been run by
            another script in the same folder.
        overrides: `KEY=VALUE` each, as `--set` takes them.
        allow_bad: go on even if many files can't be used.

    Returns:
        The script's path.

    Raises:
        UnfreezeError: whatever would stop `run`, what TensorFlow can't read, or files in the way.
    """
    recipe = complete_recipe(recipe, data, None, overrides)
    series = resolve(recipe)
    experiments = [each for each in with_parents(series, only) if not only or each.name in only]
    trained = [each for each in experiments if isinstance(each, Experiment)]
    _ensure_expressible(trained, [each.name for each in series])
    networks = dict.fromkeys((each.backbone, each.image_size) for each in trained)
    backbones = {each: build_backbone(*each, weights=None) for each in networks}
    check_layers(trained, lambda *network: backbones[network])
    photos = open_photos(recipe.data, trained).dealt(recipe.split_seeds[0])
    ensure_usable(photos.catalog, photos.splits, allow_bad)
    _ensure_readable(photos.catalog.photos)

    script = Path(out) if out else Path(recipe.name, f"{recipe.name}.py")
    validation = "test" if photos.splits.validate_on_test else "val" if photos.splits.val else None
    notes = [*_setting_notes(trained, validation), *_photo_notes(photos.catalog.photos)]
    root = photos.source.root.resolve()
    text = plain_keras_script(recipe.name, script.name, root, experiments, validation, backbones, notes)

    splits = script.with_name("splits.csv")
    _ensure_free(script, hashlib.sha256(text.encode()).hexdigest())
    _ensure_free(splits, photos.splits.sha256)
    script.parent.mkdir(parents=True, exist_ok=True)
    photos.splits.write(splits)
    for backbone, image_size in backbones:
        if not comes_with_keras(backbone):
            with write_atomically(script.with_name(f"{identifier(backbone)}_{image_size}.keras")) as path:
                pretrained_backbone(backbone, image_size).save(path)
    replace_text(script, text)
    return script


def _ensure_expressible(experiments: Sequence[Experiment], names: Sequence[str]) -> None:
    if not experiments:
        raise RecipeError("Nothing in this recipe is trained, so there is no script to write.")
    for experiment in experiments:
        if experiment.start_from and parent_name(experiment) not in names:
            raise RecipeError(
                f"experiments.{experiment.name} starts from the run {experiment.start_from}, which a script can't "
                "train. Put that experiment into the recipe, and its name after `from`."
            )
        if any(phase.solver != "adam" for phase in experiment.phases):
            raise RecipeError(
                f"experiments.{experiment.name}: a script can't be written for `solver: lbfgs`. Leave that experiment "
                "out with --only, or take `solver: adam`."
            )
        if keys := experiment.extras:
            raise RecipeError(
                f"experiments.{experiment.name}: a script can't be written for `{next(iter(keys))}`. Leave that "
                f"experiment out with --only, or these keys out of it: {', '.join(keys)}."
            )
        if experiment.resize != "squash":
            raise RecipeError(
                f"experiments.{experiment.name}: a script can't be written for `resize: {experiment.resize}`; allowed "
                "is `squash`. Try --set data.resize=squash."
            )


def _ensure_readable(photos: Sequence[Photo]) -> None:
    others = [photo.path for photo in photos if not TENSORFLOW_READS.match(first_bytes(photo.file))]
    if others:
        raise DataError(
            f"TensorFlow reads JPEG, PNG and GIF, but {len(others)} of {len(photos)} photos are of another kind, such "
            f"as {others[0]}. Save them as one of these; `unfreeze run` needs no script and takes them as they are."
        )


def _setting_notes(experiments: Sequence[Experiment], validation: str | None) -> list[str]:
    notes = []
    if validation == "test":
        notes += [
            "",
            "The test photos also choose the best epoch, as the recipe says, so the figures",
            "are too good to be true for new photos.",
        ]
    if any(experiment.augment and experiment.augment.views for experiment in experiments):
        notes += ["", "The recipe uses some views of a photo in turn; here each epoch draws its own."]
    return notes


def _photo_notes(photos: Sequence[Photo]) -> list[str]:
    """Say how many photos TensorFlow shows otherwise than a viewer would, here and in the script."""
    if not (count := sum(_needs_a_viewer(photo.file) for photo in photos)):
        return []
    say(f"TensorFlow neither turns photos upright (EXIF) nor puts transparent ones on white: {count} here.")
    return [
        "",
        "TensorFlow neither turns photos upright (EXIF) nor puts transparent ones on white;",
        f"unfreeze does, and {count} of {len(photos)} photos need it.",
    ]


def _needs_a_viewer(file: Path) -> bool:
    with Image.open(file) as image:
        return image.has_transparency_data or image.getexif().get(ORIENTATION_TAG, 1) in range(2, 9)


def _ensure_free(file: Path, sha256: str) -> None:
    if file.exists() and (file.is_dir() or file_sha256(file) != sha256):
        raise RunError(
            f"{file} is there already and is something else. Give another --out, in a folder of its own, or delete it."
        )
