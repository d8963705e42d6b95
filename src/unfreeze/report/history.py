"""The epochs of a run, and of the runs that it goes on from."""

import csv
import json
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path
from typing import Any

import yaml

from unfreeze.data.items import inner_path
from unfreeze.errors import RunError

_COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")


@dataclass(frozen=True)
class History:
    """One value an epoch; NaN where there was no validation."""

    loss: tuple[float, ...]
    accuracy: tuple[float, ...]
    val_loss: tuple[float, ...]
    val_accuracy: tuple[float, ...]
    learning_rate: tuple[float, ...]

    @property
    def epochs(self) -> int:
        """How many epochs were trained."""
        return len(self.loss)

    @property
    def best_epoch(self) -> int:
        """Number, from 1, of the first epoch with the lowest validation loss; without validation the last."""
        measured = [loss for loss in self.val_loss if not isnan(loss)]
        return self.val_loss.index(min(measured)) + 1 if measured else self.epochs


@dataclass(frozen=True)
class Phase:
    """Epochs of a run with the same unfrozen layers, as `config.yaml` says them."""

    epochs: int
    unfreeze: Any


@dataclass(frozen=True)
class Stage:
    """One experiment in a line of descent.

    Attributes:
        name: of the experiment.
        history: its own epochs.
        phases: in turn.
        starts_at: the epoch of the stage before, from 1, whose weights it starts with; None for the first.
    """

    name: str
    history: History
    phases: tuple[Phase, ...]
    starts_at: int | None


def read_history(run: Path) -> History:
    """Read a run's `history.csv`.

    Raises:
        RunError: there is none, or something else in it.
    """
    file = run / "history.csv"
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        if not rows:
            raise ValueError("no epoch")
        columns = {name: tuple(float(row[name] or nan) for row in rows) for name in _COLUMNS}
    except FileNotFoundError:
        raise RunError(f"{file} isn't there: nothing was trained in this run, or it is not finished.") from None
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{file} is no history: it needs the columns epoch,{','.join(_COLUMNS)} with a number in each ({error})."
        ) from None
    return History(**columns)


def read_stages(run: Path) -> tuple[Stage, ...]:
    """Follow `lineage.json` from a run to the first experiment it descends from; oldest first.

    Where an ancestor's folder is gone, the line begins after it.

    Args:
        run: a folder `OUT/experiments/NAME/seed-K`.

    Raises:
        RunError: the run has no history, or one on the way is damaged.
    """
    history = read_history(run)
    parent = parent_run(run)
    if parent and (parent.folder / "history.csv").is_file():
        earlier = read_stages(parent.folder)
        before = earlier[-1].history
        starts_at = before.epochs if parent.is_last else before.best_epoch
    else:
        earlier, starts_at = (), None
    return (*earlier, Stage(_name(run), history, _phases(run), starts_at))


@dataclass(frozen=True)
class ParentRun:
    """The folder of the run that another started from, and whether from its last weights instead of the best."""

    folder: Path
    is_last: bool


def parent_run(run: Path) -> ParentRun | None:
    """Find the run that a run started from, which may be gone; None for ImageNet's weights or without lineage.

    Args:
        run: a folder `OUT/experiments/NAME/seed-K`.

    Raises:
        RunError: `lineage.json` is damaged.
    """
    file = run / "lineage.json"
    if not file.is_file():
        return None
    try:
        parent = json.loads(file.read_text(encoding="utf-8"))["parent"]
        if parent is None:
            return None
        out, path = run.resolve().parents[2], str(parent["path"])
        if not Path(path).is_absolute():  # as that of a run in another folder is
            path = inner_path(path)
        return ParentRun(folder=out / path, is_last=parent["checkpoint"] == "last")
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{file} is damaged ({error!r}); run the experiment again with --force.") from None


def _name(run: Path) -> str:
    return run.resolve().parent.name


def _phases(run: Path) -> tuple[Phase, ...]:
    file = run / "config.yaml"
    try:
        phases = yaml.safe_load(file.read_text(encoding="utf-8"))["phases"]
        return tuple(Phase(phase["epochs"], phase["unfreeze"]) for phase in phases)
    except FileNotFoundError:
        return ()
    except (KeyError, TypeError, yaml.YAMLError) as error:
        raise RunError(f"{file} is damaged ({error!r}); run the experiment again with --force.") from None
