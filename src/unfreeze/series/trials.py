"""What a search has tried: its record, one line a trial."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unfreeze.evaluation.paired import Answers
from unfreeze.files import replace_text


@dataclass(frozen=True)
class Trial:
    """One trial, as a line of `trials.jsonl` holds it.

    Attributes:
        number: from 0, in the order of starting.
        settings: the experiment as a recipe writes it.
        drawn: what was drawn from the search space; empty where nothing was.
        outcome: `finished`, `stopped` because it was worse than others, `diverged`, or `out of time`.
        loss: on the validation photos, of the best epoch; None without an outcome to compare.
        accuracy: on the validation photos.
        right: a digit a validation photo: 1 where it was predicted right.
        seconds: that the trial took.
        at: seconds of the search after which it ended.
    """

    number: int
    settings: dict[str, Any]
    drawn: dict[str, Any]
    outcome: str
    loss: float | None
    accuracy: float | None
    right: str
    seconds: float
    at: float

    @property
    def is_probe(self) -> bool:
        """Whether only a head was fitted."""
        return self.settings.get("solver") == "lbfgs"

    @property
    def answers(self) -> Answers:
        """Which validation photos it got right."""
        return Answers((0,), np.array([[digit == "1" for digit in self.right]]))


def read_trials(file: Path) -> list[Trial]:
    """Read the record; a line that was cut off ends it."""
    trials = []
    try:
        for line in file.read_text(encoding="utf-8").splitlines():
            trials.append(Trial(**json.loads(line)))
    except (OSError, ValueError, TypeError):
        pass
    return trials


def write_trials(file: Path, trials: Sequence[Trial]) -> None:
    """Write the record anew."""
    replace_text(file, "".join(json.dumps(asdict(trial)) + "\n" for trial in trials))


def best_of(trials: Iterable[Trial]) -> Trial:
    """Give the trial with the lowest loss."""
    return min(trials, key=lambda trial: math.inf if trial.loss is None else trial.loss)


HEADINGS = "trial  validation    loss  seconds"
"""What stands over the rows of trials."""


def row(trial: Trial) -> str:
    """Give a trial's row below `HEADINGS`."""
    accuracy = f"{trial.accuracy:.1%}" if trial.accuracy is not None else trial.outcome
    loss = f"{trial.loss:.3f}" if trial.loss is not None else ""
    return f"{trial.number:>5}  {accuracy:>10}  {loss:>6}  {trial.seconds:>7.0f}  {_describe(trial.settings)}"


def _describe(content: Mapping[str, Any]) -> str:
    """Say in a line what a trial does.

    Args:
        content: the experiment as a recipe writes it.
    """
    share = "" if content["fraction"] == 1 else f", {content['fraction']:.0%} of the photos"
    if content.get("solver") == "lbfgs":
        return f"{content['backbone']}: a head by L-BFGS{_turned(content)}{share}"
    phase = content["phases"][-1]
    unfreeze = phase["unfreeze"]
    layers = f"last {unfreeze['blocks']} blocks" if isinstance(unfreeze, dict) else f"layers: {unfreeze}"
    augment = content["augment"]
    views = f"rotation {augment['rotation']}, zoom {augment['zoom']}" if augment else "not augmented"
    steps = f"{phase['epochs']} epochs at {phase['learning_rate']:.1e}"
    return f"{content['backbone']}: {layers}, {steps}, {views}{_turned(content)}{share}"


def _turned(content: Mapping[str, Any]) -> str:
    return f", test_views {content['test_views']}" if content.get("test_views") else ""
