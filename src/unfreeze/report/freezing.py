"""What an experiment froze, and the proof that it did not move."""

import json
from dataclasses import dataclass
from pathlib import Path

from unfreeze.errors import RunError
from unfreeze.report.summary import Summary


@dataclass(frozen=True)
class FrozenPhase:
    """A phase of an experiment, as its `lineage.json` tells it.

    Attributes:
        frozen_layers: how many layers of the backbone were frozen.
        unfrozen_layers: names of those that were trained.
        trainable_parameters: numbers that were trained, the head's included.
        before: hash of all frozen weights before the phase.
        after: and after it.
    """

    frozen_layers: int
    unfrozen_layers: tuple[str, ...]
    trainable_parameters: int
    before: str
    after: str


@dataclass(frozen=True)
class Freezing:
    """An experiment's phases, and in how many of its runs no frozen weight moved."""

    name: str
    phases: tuple[FrozenPhase, ...]
    runs: int
    unmoved: int


def frozen_layers(out: Path, summary: Summary) -> Freezing:
    """Read what an experiment froze; phases are those of its first run.

    Raises:
        RunError: a `lineage.json` is missing or damaged.
    """
    runs = [_read(out / run.path / "lineage.json") for run in summary.runs]
    unmoved = sum(all(phase.before == phase.after for phase in phases) for phases in runs)
    return Freezing(summary.name, runs[0], len(runs), unmoved)


def _read(file: Path) -> tuple[FrozenPhase, ...]:
    try:
        return tuple(
            FrozenPhase(
                frozen_layers=phase["frozen_layers"],
                unfrozen_layers=tuple(phase["unfrozen_layers"]),
                trainable_parameters=phase["trainable_parameters"],
                before=phase["frozen_sha256_before"],
                after=phase["frozen_sha256_after"],
            )
            for phase in json.loads(file.read_text(encoding="utf-8"))["phases"]
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{file} can't be read ({error!r}); run the experiment again with --force.") from None
