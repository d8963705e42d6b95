"""Where everything of a series lies: OUT and, inside it, one RUN folder for each experiment and seed."""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from unfreeze.data.splits import splits_name
from unfreeze.errors import RunError
from unfreeze.files import replace_text
from unfreeze.seals import RUN_FILES, hashes, write_sealed

_RUN_NAME = re.compile(r"(?:split-(\d+)-)?seed-(\d+)")


@dataclass(frozen=True)
class RunFolder:
    """One experiment with one seed, `OUT/experiments/NAME/seed-K`; on other splits `split-K-seed-K`."""

    path: Path

    @property
    def split_seed(self) -> int:
        """Names the split."""
        return int(self._numbers[0] or 0)

    @property
    def seed(self) -> int:
        """The run's own seed."""
        return int(self._numbers[1])

    @property
    def _numbers(self) -> tuple[str | None, str]:
        found = _RUN_NAME.fullmatch(self.path.name)
        assert found, f"{self.path} is no run folder"
        return found[1], found[2]

    @property
    def title(self) -> str:
        """Tells the run from the experiment's others: `seed 0`, or `split 1, seed 0`."""
        return f"split {self.split_seed}, seed {self.seed}" if self.split_seed else f"seed {self.seed}"

    @property
    def config(self) -> Path:
        """The experiment's settings."""
        return self.path / "config.yaml"

    @property
    def lineage(self) -> Path:
        """Where the weights come from."""
        return self.path / "lineage.json"

    @property
    def classes(self) -> Path:
        """The class names, in the order of the model's outputs."""
        return self.path / "classes.json"

    @property
    def history(self) -> Path:
        """One row an epoch."""
        return self.path / "history.csv"

    @property
    def metrics(self) -> Path:
        """The figures; written last in training, so it marks a trained run, and again with the test figures."""
        return self.path / "metrics.json"

    @property
    def predictions(self) -> Path:
        """One row a test photo."""
        return self.path / "predictions.csv"

    @property
    def model(self) -> Path:
        """The whole model with its best weights, as Keras saves it."""
        return self.path / "model.keras"

    def checkpoint(self, which: str) -> Path:
        """The whole model's weights: `best` or `last`."""
        if which == "last":
            return self.path / "checkpoints" / "last" / "last.weights.h5"
        return self.path / "checkpoints" / "best.weights.h5"

    @property
    def state(self) -> Path:
        """Where training stands, until it has come to its end."""
        return self.path / "checkpoints" / "last" / "state.npz"

    @property
    def is_trained(self) -> bool:
        """Whether training came to its end."""
        return self.metrics.is_file()

    def seal(self, figures: Mapping[str, Any]) -> None:
        """Write `metrics.json`, with the hashes of the run's other files.

        Args:
            figures: what it holds besides; hashes among them stay as they are, and are not made good.
        """
        known = figures.get("files", {})
        new = hashes(self.path, [name for name in RUN_FILES if name not in known])
        write_sealed(self.metrics, {**figures, "files": {**known, **new}})

    def discard(self) -> None:
        """Delete the run, `metrics.json` first, and the pictures of it."""
        self.metrics.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)
        for picture in (self.path.parents[2] / "pictures").glob(f"{self.path.parent.name}-{self.path.name}-*.png"):
            picture.unlink(missing_ok=True)


@dataclass(frozen=True)
class SeriesFolder:
    """A whole series, OUT."""

    path: Path

    def run(self, experiment: str, seed: int, split_seed: int = 0) -> RunFolder:
        """The folder of one experiment with one seed on one split."""
        name = f"split-{split_seed}-seed-{seed}" if split_seed else f"seed-{seed}"
        return RunFolder(self.path / "experiments" / experiment / name)

    def runs(self, experiment: str) -> list[RunFolder]:
        """The folders of an experiment that are there: split after split, seeds ascending."""
        folders = (self.path / "experiments" / experiment).glob("*seed-*")
        runs = [RunFolder(folder) for folder in folders if _RUN_NAME.fullmatch(folder.name)]
        return sorted(runs, key=lambda run: (run.split_seed, run.seed))

    @property
    def experiments(self) -> list[Path]:
        """The folders of all experiments that are there."""
        return [folder for folder in (self.path / "experiments").glob("*") if folder.is_dir()]

    def events(self, run: RunFolder) -> Path:
        """TensorBoard's event files of one run."""
        return self.path / "tensorboard" / run.path.parent.name / run.path.name

    def discard(self, names: Sequence[str] | None) -> None:
        """Delete the runs of these experiments, or without names all that a series writes here.

        The record of test reads stays: what was seen of the test photos isn't forgotten by trying again.
        """
        if names is None:
            for file in (
                *self.path.glob("splits*.csv"),
                self.recipe,
                self.bad_files,
                self.photo_checks,
            ):
                file.unlink(missing_ok=True)
        for folder in (self.path / "experiments", self.path / "tensorboard"):
            for name in names if names is not None else [""]:
                shutil.rmtree(folder / name, ignore_errors=True)
        for name in ("pictures", "thumbnails"):  # drawn again of what stays
            shutil.rmtree(self.path / name, ignore_errors=True)
        self.results.unlink(missing_ok=True)

    def splits(self, split_seed: int = 0) -> Path:
        """Which photo is in which split."""
        return self.path / splits_name(split_seed)

    @property
    def results(self) -> Path:
        """All experiments' figures."""
        return self.path / "results.json"

    @property
    def recipe(self) -> Path:
        """The recipe that was run, complete."""
        return self.path / "recipe.yaml"

    @property
    def bad_files(self) -> Path:
        """The files that could not be used, with reasons."""
        return self.path / "bad_files.csv"

    @property
    def photo_checks(self) -> Path:
        """Near-duplicates across splits and suspicious labels."""
        return self.path / "photo_checks.json"

    @property
    def test_reads(self) -> Path:
        """Every time the test photos were looked at, one JSON object a line."""
        return self.path / "test_reads.jsonl"


def write_json(path: Path, content: Any) -> None:
    """Write JSON that a person can read too."""
    replace_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file of a run.

    Raises:
        RunError: it isn't there or isn't JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} can't be read ({error}). Run the series again with --force.") from error


def write_yaml(path: Path, content: Any) -> None:
    """Write YAML with the keys in their given order."""
    replace_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def read_yaml(path: Path) -> Any:
    """Read a YAML file of a run.

    Raises:
        RunError: it isn't there or isn't YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RunError(f"{path} can't be read ({error}). Run the series again with --force.") from error
