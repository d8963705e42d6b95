"""`report.html`: a whole series on one page that needs nothing beside it, made from saved results alone."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from unfreeze.data.splits import SplitRow, read_splits, splits_name
from unfreeze.data.test_reads import misgivings, read_test_reads
from unfreeze.evaluation.predictions import read_predictions
from unfreeze.files import replace_text
from unfreeze.report.answer import Answer, answer
from unfreeze.report.freezing import frozen_layers
from unfreeze.report.label_efficiency import doublings, label_efficiency
from unfreeze.report.mistakes import least_confident_hits, most_confident_mistakes
from unfreeze.report.photo_checks import PhotoChecks, read_photo_checks
from unfreeze.report.pictures import picture_of, read_metrics
from unfreeze.report.reliability import reliability_diagram
from unfreeze.report.results import ExperimentResult
from unfreeze.report.side_by_side import Comparison
from unfreeze.report.story import reference_sentences
from unfreeze.report.summary import Summary
from unfreeze.report.table import coverage_note, pairs_note, validation_notes
from unfreeze.report.thumbnails import thumbnails
from unfreeze.report.wording import method, p_value, percent, percent_range

GALLERY = 12
"""Photos in each gallery."""

READABLE = 0.6
"""Share of a picture's own size down to which it is shown; on narrower screens it scrolls."""

LISTED = 50
"""Bad files and left out photos that are named, at most."""


def write_report(comparison: Comparison, photos: Mapping[str, Path] | None = None) -> Path:
    """Write `OUT/report.html`.

    Args:
        comparison: of one series, whose pictures are drawn.
        photos: path in `splits.csv` -> file, to show those that have not been shown before; without it the report has
            the photos of which it kept small copies.

    Returns:
        The file.

    Raises:
        RunError: a file of the series is missing or damaged.
    """
    from jinja2 import Environment, StrictUndefined  # takes a tenth of a second to import

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": percent, "p_value": p_value, "img": _img}
    environment.globals |= {"method": method, "percent_range": percent_range}
    template, css = (
        (package_files("unfreeze.report") / name).read_text(encoding="utf-8")
        for name in ("report.html.jinja", "report.css")
    )
    page = environment.from_string(template).render(**_content(comparison, photos or {}), css=Markup(css))
    file = comparison.results[0].out / "report.html"
    replace_text(file, page)
    return file


def _content(comparison: Comparison, photos: Mapping[str, Path]) -> dict[str, Any]:
    """Gather what the template shows."""
    (results,) = comparison.results
    out = results.out
    recipe = out / "recipe.yaml"
    splits = out / splits_name(results.dataset.split_seed)
    rows = read_splits(splits) if splits.is_file() else ()
    reads = read_test_reads(out / "test_reads.jsonl")
    tested = {summary.name: read_metrics(out / _first(summary).path) for summary in _tested(comparison)}
    largest_class = next(
        (max(each.support for each in metrics.per_class) / metrics.n for metrics in tested.values()), None
    )
    found = answer(comparison, largest_class)
    tree = _tree(comparison, None)
    shipped, checks = _shipped(out, found) if found else None, read_photo_checks(out)
    return {
        "results": results,
        "experiments": comparison.experiments,
        "dataset": results.dataset,
        "answer": found,
        "misgivings": misgivings(reads),
        "bars": _bars(comparison),
        "largest_class": largest_class,
        "notes": [
            *validation_notes(results.dataset),
            *(coverage_note(summary) for summary in comparison.experiments if summary.settings.coverage),
            *(f"{name}: {why}" for name, why in results.left_out.items()),
        ],
        "references": reference_sentences(comparison),
        "pairs": comparison.pairs,
        "pairs_note": pairs_note(comparison),
        "tree": tree,
        "pretrained": list(dict.fromkeys(summary.settings.backbone for summary, _ in tree)),
        "adopted": [summary.name for summary, _ in tree if summary.settings.start_from],
        "freezing": [frozen_layers(out, summary) for summary in comparison.experiments if summary.settings.epochs],
        "curves": [
            (summary.name, picture_of(out, _first(summary), "curves").read_bytes())
            for summary in comparison.experiments
            if summary.settings.epochs
        ],
        "shipped": shipped,
        "checks": checks,
        "thumbnails": thumbnails(out, _shown(shipped, checks), photos),
        "efficiency": label_efficiency(comparison).png() if found else None,
        "doublings": doublings(comparison),
        "counts": _counts(rows, results.dataset.classes),
        "left_out": [row.path for row in rows if row.split == "left_out"],
        "bad": _bad_files(out),
        "listed": LISTED,
        "gallery_size": GALLERY,
        "reads": reads,
        "recipe": recipe.read_text(encoding="utf-8", errors="replace") if recipe.is_file() else None,
    }


@dataclass(frozen=True)
class Bar:
    """An experiment's line in the comparison; places are shares of the width, None where it was not tested."""

    summary: Summary
    low: float
    high: float
    mean: float
    singles: tuple[float, ...]


def _bars(comparison: Comparison) -> dict[str, Any]:
    """Lay the experiments' intervals out between round shares of accuracy."""
    tested = _tested(comparison)
    lowest = min((summary.ci95[0] for summary in tested if summary.ci95), default=0.0)
    step = 0.1 if lowest > 0.5 else 0.2
    start = step * np.floor(lowest / step)

    def place(share: float) -> float:
        return (share - start) / (1 - start)

    bars = []
    for summary in tested:
        assert summary.ci95
        assert summary.accuracy
        singles = tuple(place(run.test.accuracy) for run in summary.runs if run.test) if len(summary.runs) > 1 else ()
        low, high = map(place, summary.ci95)
        bars.append(Bar(summary, low, high, place(summary.accuracy.mean), singles))
    ticks = [float(share) for share in np.arange(start, 1 + step / 2, step)]
    return {"experiments": bars, "ticks": [(share, place(share)) for share in ticks]}


def _shipped(out: Path, found: Answer) -> dict[str, Any]:
    """Show the model to ship in detail: its first seed's run."""
    run = _first(found.ship)
    predictions = read_predictions(out / run.path / "predictions.csv")
    metrics = read_metrics(out / run.path)
    per_class = zip(predictions.classes, metrics.per_class, strict=True)
    return {
        "run": run,
        "metrics": metrics,
        "per_class": sorted(per_class, key=lambda pair: pair[1].f1 if pair[1].f1 is not None else -1),
        "confusion": picture_of(out, run, "confusion").read_bytes(),
        "reliability": reliability_diagram(predictions, run.temperature, run.name).png(),
        "mistakes": most_confident_mistakes(predictions, GALLERY),
        "hits": least_confident_hits(predictions, GALLERY),
    }


def _shown(shipped: dict[str, Any] | None, checks: PhotoChecks | None) -> list[str]:
    """Name the photos that the page shows."""
    paths = [photo.path for photo in [*shipped["mistakes"], *shipped["hits"]]] if shipped else []
    if checks:
        paths += [photo.path for pair in checks.near_duplicates[:GALLERY] for photo in pair.photos]
        paths += [photo.path for photo in checks.suspicious_labels[:GALLERY]]
    return paths


def _tree(comparison: Comparison, parent: str | None) -> list[tuple[Summary, Any]]:
    """Give the experiments that start from one (None: from ImageNet, or from elsewhere), each with its own children."""
    names = {summary.name for summary in comparison.experiments}
    children = [
        summary
        for summary in comparison.experiments
        if summary.settings.start_from == parent or (parent is None and summary.settings.start_from not in names)
    ]
    return [(summary, _tree(comparison, summary.name)) for summary in children]


def _counts(rows: Sequence[SplitRow], classes: Sequence[str]) -> list[tuple[str, dict[str, int]]]:
    """Count the photos of each class in each split, and all together."""
    splits = ("train", "val", "test", "left_out")
    counts: dict[str, dict[str, int]] = {name: dict.fromkeys(splits, 0) for name in classes}
    for row in rows:
        counts[row.label][row.split] += 1
    total: dict[str, int] = {split: sum(each[split] for each in counts.values()) for split in splits}
    return [*counts.items(), ("all", total)]


def _bad_files(out: Path) -> list[list[str]]:
    import csv

    file = out / "bad_files.csv"
    if not file.is_file():
        return []
    with file.open(encoding="utf-8", errors="replace", newline="") as lines:
        try:
            return [row for row in csv.reader(lines) if len(row) == 2][1:]
        except csv.Error:
            return [[file.name, "is damaged; `unfreeze run` writes it again"]]


def _tested(comparison: Comparison) -> list[Summary]:
    return [summary for summary in comparison.experiments if summary.accuracy]


def _first(summary: Summary) -> ExperimentResult:
    return next((run for run in summary.runs if run.test), summary.runs[0])


def _img(png: bytes, alt: str) -> Markup:
    """Give a picture as an element that fits the page, down to where its letters could not be read any more."""
    width = int.from_bytes(png[16:20])  # of a PNG's header
    style = f"width: 100%; max-width: {1.1 * width:.0f}px; min-width: {READABLE * width:.0f}px"
    data = base64.b64encode(png).decode()
    return Markup('<img src="data:image/png;base64,{}" alt="{}" style="{}">').format(data, alt, style)
