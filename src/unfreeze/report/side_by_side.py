"""Experiments of one or more series side by side, compared photo by photo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from unfreeze.data.splits import SplitRow, read_splits
from unfreeze.errors import RunError
from unfreeze.evaluation.paired import Answers, Pair, compare_pairs
from unfreeze.evaluation.predictions import read_predictions
from unfreeze.report.results import Results
from unfreeze.report.summary import Summary, summarize


@dataclass(frozen=True)
class Comparison:
    """Experiments side by side.

    Attributes:
        results: of one or more series, tested on the same photos.
        experiments: over their seeds, series after series; with several series, named OUT/NAME.
        pairs: each tested experiment against those before it, by the same names.
        answers: which test photos each tested experiment's runs got right, by the same names.
    """

    results: tuple[Results, ...]
    experiments: tuple[Summary, ...]
    pairs: tuple[Pair, ...]
    answers: Mapping[str, Answers] = field(repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """What `unfreeze compare --json` prints."""
        return {
            "experiments": [summary.to_json() for summary in self.experiments],
            "pairs": [pair.to_json() for pair in self.pairs],
        }

    def pair(self, a: str, b: str) -> Pair:
        """Give the comparison of two tested experiments, `a` against `b`."""
        found = {(pair.a, pair.b): pair for pair in self.pairs}
        return found[a, b] if (a, b) in found else found[b, a].reversed()

    def _repr_html_(self) -> str:
        from unfreeze.report.table import comparison_html  # which imports this module

        return comparison_html(self)


def side_by_side(first: Results, *others: Results) -> Comparison:
    """Compare the experiments of series that are read already.

    Args:
        first: a series.
        others: more of them, tested on the same photos.

    Raises:
        RunError: predictions are missing, or two series were tested on other photos.
    """
    results = (first, *others)
    orders = _same_photos(results) if others else [np.arange(first.dataset.test)]
    summaries: list[Summary] = []
    answers: dict[str, Answers] = {}
    for each, order in zip(results, orders, strict=True):
        for summary in summarize(each):
            name = f"{_shown(each.out, results)}/{summary.name}" if others else summary.name
            summaries.append(replace(summary, name=name))
            if summary.accuracy:
                answers[name] = _answers(each.out, summary, order)
    return Comparison(results, tuple(summaries), compare_pairs(answers), answers)


def _answers(out: Path, summary: Summary, order: np.ndarray) -> Answers:
    """Read which test photos an experiment's runs got right."""
    right = []
    for run in summary.runs:
        if run.test:
            file = out / run.path / "predictions.csv"
            predictions = read_predictions(file)
            if len(predictions.labels) != len(order):
                raise RunError(
                    f"{file} has {len(predictions.labels):,} photos, but the series was tested on {len(order):,}. "
                    "Run the experiment again with --force."
                )
            right.append((predictions.predicted == predictions.labels)[order])
    return Answers(tuple(run.seed for run in summary.runs if run.test), np.array(right))


def _same_photos(results: Sequence[Results]) -> list[np.ndarray]:
    """Give, for each series, the order that sorts its test photos by content.

    Raises:
        RunError: they are not the same photos, with the same labels, or a `splits.csv` is missing.
    """
    tested = [_test_rows(each.out / "splits.csv") for each in results]
    contents = [sorted(map(_content, rows)) for rows in tested]
    for each, content in zip(results, contents, strict=True):
        if content != contents[0]:
            shared = len(set(content) & set(contents[0]))
            raise RunError(
                f"{results[0].out} and {each.out} were not tested on the same photos: {len(contents[0]):,} and "
                f"{len(content):,}, of which {shared:,} are the same with the same label. Experiments can be compared "
                "photo by photo only on the same ones: run both recipes on one data set with one `data.split_seed`, or "
                "compare each folder alone."
            )
    return [np.array(sorted(range(len(rows)), key=lambda row: _content(rows[row])), int) for rows in tested]


def _test_rows(file: Path) -> list[SplitRow]:
    try:
        return [row for row in read_splits(file) if row.split == "test"]
    except OSError as error:
        raise RunError(
            f"{file} can't be read ({error.strerror}), so nobody knows which photos the series was tested on. Call "
            "`unfreeze run` again, which writes it anew."
        ) from None


def _content(row: SplitRow) -> tuple[str, str]:
    return row.sha256, row.label


def _shown(out: Path, results: Sequence[Results]) -> str:
    """Name a folder as shortly as tells it from the others."""
    return str(out) if [each.out.name for each in results].count(out.name) > 1 else out.name
