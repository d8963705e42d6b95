"""The experiments of a series in one table, for a terminal, a pipe and a notebook."""

import html
from typing import TYPE_CHECKING

from unfreeze.report.results import Dataset, Results
from unfreeze.report.summary import OverSeeds, Summary, summarize
from unfreeze.report.wording import method, percent, percent_range, shorten

if TYPE_CHECKING:
    from rich.table import Table

_HEADINGS = ("experiment", "method", "photos", "epochs", "test accuracy", "macro F1", "loss", "seconds")
_LEFT = {"experiment", "method", "test accuracy"}
_NARROWEST = {"method": 12, "test accuracy": 11, "macro F1": 5}
"""These may be wrapped where the terminal is narrow, each to so many letters."""


def plain_table(results: Results) -> str:
    """The comparison as lines of text, one an experiment, columns aligned with spaces; footnotes below."""
    from rich.cells import cell_len  # a Chinese letter is two wide

    lines = [_HEADINGS, *(_cells(summary) for summary in summarize(results))]
    columns = []
    for heading, *cells in zip(*lines, strict=True):
        width = max(map(cell_len, [heading, *cells]))
        pads = [" " * (width - cell_len(cell)) for cell in [heading, *cells]]
        aligned = zip([heading, *cells], pads, strict=True)
        columns.append([cell + pad if heading in _LEFT else pad + cell for cell, pad in aligned])
    table = ["  ".join(line).rstrip() for line in zip(*columns, strict=True)]
    return "\n".join([*table, "", *footnotes(results)])


def comparison_table(results: Results) -> "Table":
    """The comparison as a rich table, which a console prints to its width and a notebook shows."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        caption="\n".join(["", *footnotes(results)]),
        caption_justify="left",
    )
    for heading in _HEADINGS:
        table.add_column(
            heading,
            justify="left" if heading in _LEFT else "right",
            min_width=_NARROWEST.get(heading),
            no_wrap=heading not in _NARROWEST,
        )
    for summary in summarize(results):
        table.add_row(*(Text(cell) for cell in _cells(summary)))
    return table


def html_table(results: Results) -> str:
    """The comparison as an HTML table, footnotes below, for a notebook."""
    head = "".join(f"<th>{heading}</th>" for heading in _HEADINGS)
    rows = ["".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(summary)) for summary in summarize(results)]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    notes = "<br>".join(html.escape(note) for note in footnotes(results))
    return f"<table><tr>{head}</tr>{body}</table><p>{notes}</p>"


def footnotes(results: Results) -> list[str]:
    """What a reader must know to read the table, a line each."""
    summaries = summarize(results)
    lines = []
    if any(summary.accuracy for summary in summaries):
        photos = f"{results.dataset.test:,} test photos"
        lines.append(f"accuracy, macro F1, loss: on {photos}; in brackets the 95% Wilson interval")
    if any(len(summary.runs) > 1 for summary in summaries):
        lines.append("figures are means over seeds; ±: standard deviation of the accuracy over them")
    lines += validation_notes(results.dataset)
    lines += [coverage_note(summary) for summary in summaries if summary.settings.coverage]
    return lines + [f"{name}: {why}" for name, why in results.left_out.items()]


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


def _cells(summary: Summary) -> tuple[str, ...]:
    settings = summary.settings
    return (
        summary.name,
        method(settings.kind, settings.unfreeze),
        f"{settings.train_images:,}" if settings.train_images is not None else "0",
        f"{settings.epochs}" if settings.epochs is not None else "0",
        _accuracy(summary),
        f"{summary.macro_f1.mean:.3f}" if summary.macro_f1 else "-",
        f"{summary.nll.mean:.3f}" if summary.nll else "-",
        _seconds(summary.seconds),
    )


def _accuracy(summary: Summary) -> str:
    if summary.accuracy is None or summary.ci95 is None:
        return "test not read"
    spread = f" ± {100 * summary.accuracy.sd:.1f}" if summary.accuracy.sd is not None else ""
    return f"{percent(summary.accuracy.mean)}{spread} ({percent_range(*summary.ci95)})"


def _seconds(seconds: OverSeeds) -> str:
    return f"{seconds.mean:,.0f}" if seconds.mean >= 10 else f"{seconds.mean:.1f}"
