"""One experiment without a recipe."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from unfreeze import config
from unfreeze.config import Unfreeze
from unfreeze.data.sources import open_source
from unfreeze.report.results import Results
from unfreeze.series.recipe import check_recipe
from unfreeze.series.run import run


def train(
    data: str | Path,
    backbone: str = config.DEFAULT_BACKBONE,
    fraction: float = 1.0,
    unfreeze: Unfreeze | None = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    start_from: str | Path | None = None,
    seeds: int = 1,
    name: str = config.TRAIN_NAME,
    out: str | Path | None = None,
    force: bool = False,
    allow_bad: bool = False,
    callbacks: Sequence[Any] = (),
    optimizer: Any = None,
    loss: Any = None,
    head: Callable[[Any], Any] | None = None,
) -> Results:
    """Train one experiment on a folder of photos.

    Without `unfreeze`, `epochs` and `learning_rate` it fits the head first and then trains the backbone's last layers;
    any of the three makes it one plain phase.

    Args:
        data: a folder, a CSV, an archive, a URL, or the name of a data set.
        backbone: name of the pretrained network, `keras_hub:` and a preset, or the path of a `.keras` file.
        fraction: share of each class's training photos, over 0 and at most 1.
        unfreeze: last N layers, a block's name, `all`, or 0 for feature extraction.
        epochs: passes over the photos.
        learning_rate: of the optimizer.
        start_from: a finished run whose weights to start from.
        seeds: run once with each of the seeds 0 to `seeds` - 1.
        name: of the experiment.
        out: folder for everything that is written (default: `runs/` and the data's name).
        force: throw away what `out` holds of this experiment and start over.
        allow_bad: go on even if many files can't be used.
        callbacks: as in `run`, like the three that follow.
        optimizer: your own in place of Adam.
        loss: your own in place of sparse categorical crossentropy.
        head: your own in place of one dense layer.

    Raises:
        UnfreezeError: one of its kinds; the message says what is wrong and what to do.
    """
    keys = {"unfreeze": unfreeze, "epochs": epochs, "learning_rate": learning_rate}
    chosen = {key: value for key, value in keys.items() if value is not None}
    experiment: dict[str, object] = {
        "backbone": backbone,
        "fraction": fraction,
        "augment": config.TRAIN_AUGMENT.model_dump(),
    }
    solver = {"solver": "adam"} if head or loss else {}  # L-BFGS fits no others than ours
    experiment |= chosen or {"phases": [{**phase.model_dump(), **solver} for phase in config.TRAIN_PHASES]}
    if start_from is not None:
        experiment["from"] = str(start_from)
    source = open_source(data)
    series = re.sub(r"[^A-Za-z0-9_.-]+", "-", source.name).lstrip("-.") or "photos"
    raw = {"name": series, "data": {"source": str(data)}, "experiments": {name: experiment}}
    recipe = check_recipe(raw, "The call")
    own = {"callbacks": callbacks, "optimizer": optimizer, "loss": loss, "head": head}
    return run(recipe, out=out, seeds=seeds, only=[name], force=force, allow_bad=allow_bad, **own)
