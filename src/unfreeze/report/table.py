"""Experiments in one table and against each other in another, for a terminal, a pipe and a notebook."""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

from unfreeze.evaluation.paired import Pair
from unfreeze.report.results import Dataset, Results
from unfreeze.report.side_by_side import Comparison
from unfreeze.report.summary import OverSeeds, Summary, summarize
from unfreeze.report.wording import method, p_value, percent, percent_range, shorten

if TYPE_CHECKING:
    from rich.table import Table

_HEADINGS = ("experiment", "method", "photos", "epochs", "test accuracy", "macro F1", "loss", "seconds")
_PAIR_HEADINGS = ("experiment", "against", "verdict", "points", "smallest", "McNemar", "Holm")
_LEFT = {"experiment", "method", "test accuracy", "against", "verdict"}
_NARROWEST = {"method": 12, "test accuracy": 11, "macro F1": 5}
"""These may be wrapped where the terminal is narrow, each to so many letters."""

_PAIRS_NOTE = (
    "points: of test accuracy, with the 95% interval over photos and seeds; smallest: the least difference that they\n"
    "would have shown four times in five; p-values of the exact McNemar test, then corrected for all pairs by Holm"
)
_SPLITS_NOTE = (
    "points: of test accuracy, with the 95% interval over splits; smallest: the least difference that they would have\n"
    "shown four times in five; p-values of McNemar's test, and of Nadeau and Bengio's corrected t-test over splits,\n"
    "corrected for all pairs by Holm"
)


def plain_table(results: Results) -> str:
    """The experiments as lines of text, one each, columns aligned with spaces; footnotes below."""
    rows = [_cells(summary) for summary in summarize(results)]
    return "\n".join([*_aligned(_HEADINGS, rows), "", *footnotes(results)])


def plain_pairs(comparison: Comparison) -> str:
    """Experiments against each other as lines of text, a line a pair; a footnote below."""
    rows = [_pair_cells(pair) for pair in comparison.pairs]
    return "\n".join([*_aligned(_PAIR_HEADINGS, rows), "", pairs_note(comparison)])


def comparison_table(results: Results) -> "Table":
    """The experiments as a rich table, which a console prints to its width and a notebook shows."""
    return _rich_table(_HEADINGS, [_cells(summary) for summary in summarize(results)], footnotes(results))


def pairs_table(comparison: Comparison) -> "Table":
    """Experiments against each other as a rich table."""
    return _rich_table(_PAIR_HEADINGS, [_pair_cells(pair) for pair in comparison.pairs], [pairs_note(comparison)])


def html_table(results: Results) -> str:
    """The experiments as an HTML table, footnotes below, for a notebook."""
    return _html(_HEADINGS, [_cells(summary) for summary in summarize(results)], footnotes(results))


def comparison_html(comparison: Comparison) -> str:
    """Experiments, then each against the others, as HTML tables for a notebook."""
    tables = [html_table(results) for results in comparison.results]
    if comparison.pairs:
        rows = [_pair_cells(pair) for pair in comparison.pairs]
        tables.append(_html(_PAIR_HEADINGS, rows, [pairs_note(comparison)]))
    return "".join(tables)


def pairs_note(comparison: Comparison) -> str:
    """What a reader must know to read the table of pairs."""
    is_over_splits = any(summary.macro_f1_ci95 for summary in comparison.experiments)
    return _SPLITS_NOTE if is_over_splits else _PAIRS_NOTE


def footnotes(results: Results) -> list[str]:
    """What a reader must know to read the table, a line each."""
    summaries = summarize(results)
    lines = _about_figures(summaries, f"{results.dataset.test:,} test photos")
    lines += validation_notes(results.dataset)
    lines += [coverage_note(summary) for summary in summaries if summary.settings.coverage]
    return lines + [f"{name}: {why}" for name, why in results.left_out.items()]


def _about_figures(summaries: Sequence[Summary], photos: str) -> list[str]:
    figures = "accuracy, macro F1, loss"
    if any(summary.macro_f1_ci95 for summary in summaries):
        return [
            f"{figures}: means over splits, each with {photos} of its own; ±: standard deviation over them; in "
            "brackets the 95% interval, corrected for the photos that splits share"
        ]
    lines = []
    if any(summary.accuracy for summary in summaries):
        lines.append(f"{figures}: on {photos}; in brackets the 95% Wilson interval")
    if any(len(summary.runs) > 1 for summary in summaries):
        lines.append("figures are means over seeds; ±: standard deviation over them, which widens the interval")
    return lines


def coverage_note(summary: Summary) -> str:
    """Say which classes a pretrained classifier knows as it is, and how it fares on them."""
    coverage = summary.settings.coverage
    assert coverage
    known, count = shorten(", ".join(coverage.classes), 60), len(coverage.classes) + len(coverage.missing)
    note = f"{summary.name}: {summary.settings.backbone} knows {len(coverage.classes)} of {count} classes ({known})"
    if coverage.accuracy is None:
        return note
    return f"{note}; accuracy on their {coverage.n:,} photos {percent(coverage.accuracy)}, all others count as wrong"


def validation_notes(dataset: Dataset) -> list[str]:
    """What validation cost: labelled photos, or the test figures' honesty."""
    if dataset.validation == "test":
        return ["validated on the test photos themselves, so the test figures are too good"]
    if dataset.val:
        return [f"photos: trained on; another {dataset.val:,} chose the best epoch (validation)"]
    return []


def _aligned(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    from rich.cells import cell_len  # a Chinese letter is two wide

    columns = []
    for heading, *cells in zip(headings, *rows, strict=True):
        width = max(map(cell_len, [heading, *cells]))
        pads = [" " * (width - cell_len(cell)) for cell in [heading, *cells]]
        aligned = zip([heading, *cells], pads, strict=True)
        columns.append([cell + pad if heading in _LEFT else pad + cell for cell, pad in aligned])
    return ["  ".join(line).rstrip() for line in zip(*columns, strict=True)]


def _rich_table(headings: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        caption="\n".join(["", *notes]),
        caption_justify="left",
    )
    for heading in headings:
        table.add_column(
            heading,
            justify="left" if heading in _LEFT else "right",
            min_width=_NARROWEST.get(heading),
            no_wrap=heading not in _NARROWEST,
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _html(headings: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table><p>{'<br>'.join(map(html.escape, notes))}</p>"


def _pair_cells(pair: Pair) -> tuple[str, ...]:
    low, high = (100 * bound for bound in pair.ci95)
    return (
        pair.a,
        pair.b,
        pair.verdict,
        f"{100 * pair.difference:+.1f} ({low:+.1f} to {high:+.1f})",
        f"{100 * pair.smallest:.1f}",
        p_value(pair.p_mcnemar),
        p_value(pair.p_holm),
    )


def _cells(summary: Summary) -> tuple[str, ...]:
    settings = summary.settings
    return (
        summary.name,
        method(settings.kind, settings.unfreeze),
        f"{settings.train_images:,}" if settings.train_images is not None else "0",
        f"{settings.epochs}" if settings.epochs is not None else "0",
        _accuracy(summary),
        _macro_f1(summary),
        f"{summary.nll.mean:.3f}" if summary.nll else "-",
        _seconds(summary.seconds),
    )


def _accuracy(summary: Summary) -> str:
    if summary.accuracy is None or summary.ci95 is None:
        return "test not read"
    spread = f" ± {100 * summary.accuracy.sd:.1f}" if summary.accuracy.sd is not None else ""
    return f"{percent(summary.accuracy.mean)}{spread} ({percent_range(*summary.ci95)})"


def _macro_f1(summary: Summary) -> str:
    if summary.macro_f1 is None:
        return "-"
    interval = summary.macro_f1_ci95
    return f"{summary.macro_f1.mean:.3f}" + (f" ({interval[0]:.3f}-{interval[1]:.3f})" if interval else "")


def _seconds(seconds: OverSeeds) -> str:
    return f"{seconds.mean:,.0f}" if seconds.mean >= 10 else f"{seconds.mean:.1f}"
