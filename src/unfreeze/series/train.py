"""One experiment without a recipe."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from unfreeze import config
from unfreeze.config import Unfreeze
from unfreeze.data.sources import Source, open_source
from unfreeze.errors import RecipeError
from unfreeze.models.at_hand import backbones_at_hand
from unfreeze.models.backbones import default_image_size, pretrained_backbone
from unfreeze.models.blocks import find_blocks
from unfreeze.report.results import Results
from unfreeze.series.recipe import check_recipe
from unfreeze.series.run import run
from unfreeze.series.search_space import fine_tuning


def train(
    data: str | Path,
    backbone: str | None = None,
    fraction: float = 1.0,
    unfreeze: Unfreeze | None = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    start_from: str | Path | None = None,
    seeds: int = 1,
    name: str | None = None,
    out: str | Path | None = None,
    force: bool = False,
    allow_bad: bool = False,
    minutes: float | None = None,
    callbacks: Sequence[Any] = (),
    optimizer: Any = None,
    loss: Any = None,
    head: Callable[[Any], Any] | None = None,
) -> Results:
    """Train one experiment on a folder of photos.

    Without `unfreeze`, `epochs` and `learning_rate` it fits the head first and then trains the backbone's last blocks,
    with learning rates that fall with depth and over time, for more epochs the fewer photos there are; any of the three
    makes it one plain phase. With `minutes` it searches for the best that can be had in that time, named `best`.

    Args:
        data: a folder, a CSV, an archive, a URL, or the name of a data set.
        backbone: name of the pretrained network, `keras_hub:` and a preset, or the path of a `.keras` file (default:
            EfficientNet-Lite0; in a search all whose weights are on this machine).
        fraction: share of each class's training photos, over 0 and at most 1.
        unfreeze: last N layers, a block's name, `all`, or 0 for feature extraction.
        epochs: passes over the photos.
        learning_rate: of the optimizer.
        start_from: a finished run whose weights to start from.
        seeds: run once with each of the seeds 0 to `seeds` - 1.
        name: of the experiment (default: `model`).
        out: folder for everything that is written (default: `runs/` and the data's name).
        force: throw away what `out` holds of this experiment and start over.
        allow_bad: go on even if many files can't be used.
        minutes: time for a search, everything included; then only `data`, `backbone`, `out`, `force` and `allow_bad`
            can be given beside it.
        callbacks: as in `run`, like the three that follow.
        optimizer: your own in place of Adam.
        loss: your own in place of sparse categorical crossentropy.
        head: your own in place of one dense layer.

    Raises:
        UnfreezeError: one of its kinds; the message says what is wrong and what to do.
    """
    own = {"callbacks": callbacks, "optimizer": optimizer, "loss": loss, "head": head}
    keys = {"unfreeze": unfreeze, "epochs": epochs, "learning_rate": learning_rate}
    chosen = {key: value for key, value in keys.items() if value is not None}
    source = open_source(data)
    series = re.sub(r"[^A-Za-z0-9_.-]+", "-", source.name).lstrip("-.") or "photos"
    if minutes is not None:
        fixed = {"fraction": fraction != 1, "from": start_from, "seeds": seeds != 1, "name": name, **chosen, **own}
        _ensure_searchable(minutes, [key for key, value in fixed.items() if value or key in chosen])
        from unfreeze.series.search import search  # Optuna takes half a second

        return search(data, minutes, series, [backbone] if backbone else backbones_at_hand(), out, force, allow_bad)

    name, backbone = name or config.TRAIN_NAME, backbone or config.DEFAULT_BACKBONE
    experiment: dict[str, Any] = {"backbone": backbone, "fraction": fraction}
    if chosen or head or loss:  # L-BFGS fits no other head or loss than ours
        experiment |= {"augment": config.TRAIN_AUGMENT.model_dump(), **chosen}
        if not chosen:
            experiment["phases"] = [{"epochs": 5}, {"unfreeze": 10, "epochs": 5}]
    else:
        experiment |= default_fine_tuning(source, backbone, fraction)
    if start_from is not None:
        experiment["from"] = str(start_from)
    raw = {"name": series, "data": {"source": str(data)}, "experiments": {name: experiment}}
    recipe = check_recipe(raw, "The call")
    return run(recipe, out=out, seeds=seeds, only=[name], force=force, allow_bad=allow_bad, **own)


def default_fine_tuning(source: Source, backbone: str, fraction: float) -> dict[str, Any]:
    """Give the experiment that is trained where nothing is chosen, as a recipe writes it.

    Args:
        source: the photos; the more there are, the fewer epochs.
        backbone: name of the network; without blocks that its layers' names tell, its last layers are trained.
        fraction: share of the training photos.
    """
    training = [item for item in source.items if item.split not in ("test", "val")]
    share = fraction * (1 if any(item.split == "test" for item in source.items) else 1 - config.TEST_SHARE)
    epochs = config.train_epochs(max(round(share * len(training)), 1))
    count = len(find_blocks(pretrained_backbone(backbone, default_image_size(backbone))))
    blocks = min(config.TRAIN_FIRST["blocks"], count - 1)
    if blocks > 0:
        return fine_tuning(backbone, fraction, {**config.TRAIN_FIRST, "blocks": blocks}, epochs)
    settings = fine_tuning(backbone, fraction, config.TRAIN_FIRST, epochs)
    settings["phases"][-1]["unfreeze"] = 10
    return {key: value for key, value in settings.items() if key != "layer_decay"}


def _ensure_searchable(minutes: float, fixed: list[str]) -> None:
    """Refuse what a search decides itself.

    Raises:
        RecipeError: it was given, or there is no time.
    """
    if not minutes > 0:
        raise RecipeError(f"--minutes {minutes:g}: give more than 0, for example --minutes 10.")
    if fixed:
        raise RecipeError(
            f"--minutes searches for the best training itself, so it can't go with {', '.join(fixed)}. Leave that out, "
            "or leave --minutes out."
        )
