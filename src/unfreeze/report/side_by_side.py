"""Experiments of one or more series side by side, compared photo by photo."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from unfreeze.data.splits import SplitRow, read_splits, splits_name
from unfreeze.errors import RunError
from unfreeze.evaluation.intervals import interval_of_difference, wilson_interval
from unfreeze.evaluation.paired import Answers, Pair, Verdict, compare_pairs, resampled_accuracies, verdict
from unfreeze.evaluation.predictions import read_predictions
from unfreeze.evaluation.repeated_splits import compare_over_splits
from unfreeze.report.results import Published, Results
from unfreeze.report.summary import Summary, summarize


@dataclass(frozen=True)
class Reference:
    """An experiment against a figure of others.

    Attributes:
        experiment: that is judged.
        reference: whose figure it is compared with.
        accuracy: that figure.
        photos: that it was measured on; where that isn't known (None), it is taken to be exact.
        difference: the experiment's mean accuracy less that figure.
        ci95: its 95% interval: the experiment's own and the Wilson interval of the figure, put together.
        verdict: `within noise` where the interval holds zero.
    """

    experiment: str
    reference: str
    accuracy: float
    photos: int | None
    difference: float
    ci95: tuple[float, float]
    verdict: Verdict


@dataclass(frozen=True)
class Comparison:
    """Experiments side by side.

    Attributes:
        results: of one or more series, tested on the same photos.
        experiments: over their seeds, series after series; with several series, named OUT/NAME.
        pairs: each tested experiment against those before it, by the same names.
        worlds: each tested experiment's mean accuracy with other photos and seeds, as `resampled_accuracies` gives it,
            by the same names; empty where every split has test photos of its own.
    """

    results: tuple[Results, ...]
    experiments: tuple[Summary, ...]
    pairs: tuple[Pair, ...]
    worlds: Mapping[str, np.ndarray] = field(repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """What `unfreeze compare --json` prints."""
        references = [asdict(reference) for reference in self.references]
        return {
            "experiments": [summary.to_json() for summary in self.experiments],
            "pairs": [pair.to_json() for pair in self.pairs],
            **({"references": references} if references else {}),
        }

    @property
    def references(self) -> list[Reference]:
        """Every tested experiment against every figure of others that a recipe names."""
        named = {name: published for results in self.results for name, published in results.references.items()}
        tested = [summary for summary in self.experiments if summary.accuracy]
        return [_against(summary, name, published) for summary in tested for name, published in named.items()]

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
    split_seeds = _shared_splits(results)
    summaries: list[Summary] = []
    answers: dict[str, list[Answers]] = {}
    orders = _same_photos(results, split_seeds) if others else [{}]
    for each, order in zip(results, orders, strict=True):
        for summary in summarize(each):
            name = f"{_shown(each.out, results)}/{summary.name}" if others else summary.name
            summaries.append(replace(summary, name=name))
            if summary.accuracy:
                answers[name] = _answers(each, summary, split_seeds, order)
    if len(split_seeds) > 1 and first.dataset.test_is_carved:
        pairs = compare_over_splits(answers, first.dataset.train + first.dataset.val)
        return Comparison(results, tuple(summaries), pairs, worlds={})
    together = {name: _together(splits) for name, splits in answers.items()}
    worlds = resampled_accuracies(together) if together else {}
    return Comparison(results, tuple(summaries), compare_pairs(together, worlds), worlds)


def _against(summary: Summary, name: str, published: Published) -> Reference:
    assert summary.accuracy
    assert summary.ci95
    accuracy, photos = published.accuracy, published.photos
    own = wilson_interval(accuracy * photos, photos) if photos else (accuracy, accuracy)
    difference = interval_of_difference(summary.accuracy.mean, summary.ci95, accuracy, own)
    return Reference(
        experiment=summary.name,
        reference=name,
        accuracy=accuracy,
        photos=photos,
        difference=summary.accuracy.mean - accuracy,
        ci95=difference,
        verdict=verdict(difference),
    )


def _shared_splits(results: Sequence[Results]) -> list[int]:
    """Give the split seeds on which every experiment has been tested that was tested at all.

    Raises:
        RunError: there is none.
    """
    tested: dict[tuple[Path, str], set[int]] = {}
    for each in results:
        for run in each.experiments:
            if run.test:
                tested.setdefault((each.out, run.name), set()).add(run.split_seed)
    shared = set.intersection(*tested.values()) if tested else set[int]()
    if tested and not shared:
        raise RunError(
            f"The experiments of {results[0].out} were not tested on a split that all of them share. Run them with the "
            "same `split_seeds`, or in folders of their own."
        )
    return sorted(shared)


def _answers(
    results: Results, summary: Summary, split_seeds: Sequence[int], orders: Mapping[int, np.ndarray]
) -> list[Answers]:
    """Read which test photos an experiment's runs got right, for each split."""
    found = []
    for split_seed in split_seeds:
        runs = [run for run in summary.runs if run.test and run.split_seed == split_seed]
        right = [_right(results.out / run.path / "predictions.csv", run.test.n) for run in runs if run.test]
        order = orders.get(split_seed, slice(None))
        ids = tuple(run.seed + (split_seed << 32) for run in runs)  # a seed is less than 2^32
        found.append(Answers(ids, np.array(right)[:, order]))
    return found


def _right(file: Path, photos: int) -> np.ndarray:
    predictions = read_predictions(file)
    if len(predictions.labels) != photos:
        raise RunError(
            f"{file} has {len(predictions.labels):,} photos, but the run was tested on {photos:,}. "
            "Run the experiment again with --force."
        )
    return predictions.predicted == predictions.labels


def _together(splits: Sequence[Answers]) -> Answers:
    """Put runs on the same test photos together, whatever they were trained on."""
    seeds = tuple(seed for answers in splits for seed in answers.seeds)
    return Answers(seeds, np.concatenate([answers.right for answers in splits]))


def _same_photos(results: Sequence[Results], split_seeds: Sequence[int]) -> list[dict[int, np.ndarray]]:
    """Give, for each series and split, the order that sorts its test photos by content.

    Raises:
        RunError: they are not the same photos, with the same labels, or a split's file is missing.
    """
    orders: list[dict[int, np.ndarray]] = [{} for _ in results]
    for split_seed in split_seeds:
        tested = [_test_rows(each.out / splits_name(split_seed)) for each in results]
        contents = [sorted(map(_content, rows)) for rows in tested]
        for number, (each, rows, content) in enumerate(zip(results, tested, contents, strict=True)):
            if content != contents[0]:
                shared = len(set(content) & set(contents[0]))
                raise RunError(
                    f"{results[0].out} and {each.out} were not tested on the same photos: {len(contents[0]):,} and "
                    f"{len(content):,}, of which {shared:,} are the same with the same label. Experiments can be "
                    "compared photo by photo only on the same ones: run both recipes on one data set with the same "
                    "`split_seeds`, or compare each folder alone."
                )
            orders[number][split_seed] = np.array(sorted(range(len(rows)), key=lambda row: _content(rows[row])), int)
    return orders


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
