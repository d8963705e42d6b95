"""What a search has tried: its record, one line a trial, and how long further trials will take."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
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


@dataclass
class Pace:
    """How fast this machine is with these photos, learned from trial to trial.

    Attributes:
        forward: multiply-adds a second of frozen layers.
        trained: network and layers trained -> seconds a photo of an epoch.
        start: seconds until the first step of training, compiling included.
        end: seconds from the last epoch to the end of a trial.
    """

    forward: float
    trained: dict[str, float] = field(default_factory=dict)
    start: float = 25.0
    end: float = 8.0

    def seconds(self, photos: int, views: int, epochs: int, unfrozen: str, macs: tuple[int, int]) -> float:
        """Estimate a trial.

        Args:
            photos: trained on, and validation photos.
            views: of each photo that frozen layers have to see.
            epochs: of training.
            unfrozen: names network and layers that are trained.
            macs: of frozen and of trained layers, for one photo.
        """
        frozen, trained = macs
        epoch = self.trained.get(unfrozen) or self._unseen(trained)
        return self.start + self.end + photos * (views * frozen / self.forward + epochs * epoch)

    def _unseen(self, macs: int) -> float:
        """Guess a photo's seconds in an epoch: backward is twice as much as forward, and slower than frozen layers."""
        return 3 * macs / (TRAINED_SHARE * self.forward)

    def learn(self, unfrozen: str, photos: int, epochs: Sequence[float], before: float, after: float) -> None:
        """Note what a trial took: seconds of each of its epochs, of what came before, and of what came after."""
        if len(epochs) > 1:
            self.trained[unfrozen] = sorted(epochs[1:])[len(epochs[1:]) // 2] / max(photos, 1)
        self.start, self.end = max(before, 5.0), max(after, 2.0)


TRAINED_SHARE = 0.5
"""Speed of training, in multiply-adds a second, as a share of that of frozen layers. Measured for EfficientNet-Lite0 on
two cores: 0.7 for the last 5 blocks, 0.4 for all layers."""


def describe(content: Mapping[str, Any]) -> str:
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
