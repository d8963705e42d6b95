"""`unfreeze predict`: classes of new photos."""

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import unfreeze
from unfreeze.cli.app import EXIT_FAILED, print_json, verb
from unfreeze.cli.named_files import named_files
from unfreeze.cli.screen import screen

if TYPE_CHECKING:
    from unfreeze.inference.prediction import Prediction


def _npz(out: Path | None) -> Path | None:
    if out is not None and out.suffix != ".npz":
        raise typer.BadParameter(f"feature vectors are written as .npz: give {out.with_suffix('.npz').name}.")
    return out


@verb(example="unfreeze predict runs/my_photos/experiments/model/seed-0 photo.jpg holiday/ 'more/*.jpg'")
def predict(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN_OR_BACKBONE",
            help="A run: OUT/experiments/NAME/seed-K; or a pretrained network as it is (efficientnet_lite0).",
        ),
    ],
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE_OR_DIR...",
            help="Photos, folders of photos, patterns ('*.jpg'); - reads file names from stdin, one a line.",
        ),
    ],
    embeddings: Annotated[
        Path | None,
        typer.Option("--embeddings", metavar="x.npz", callback=_npz, help="Write the photos' feature vectors too."),
    ] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print a table: path, error, predicted, probability, then a column a class.")
    ] = False,
) -> None:
    """Predict photos and folders of them."""
    if as_csv and screen.json:
        raise typer.BadParameter("an answer is CSV or JSON, not both: leave out --csv or --json.")
    files = named_files(images)
    predictor = unfreeze.load(run)
    top = {"top": len(predictor.classes)} if as_csv else {}
    found = predictor.embeddings(files, **top) if embeddings else None
    predictions = found.predictions if found else predictor.predict(files, **top)
    if screen.json:
        print_json([prediction.to_json() for prediction in predictions])
    elif as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows(_table(predictor.classes, predictions))
    else:
        for prediction in predictions:
            print(prediction)
    if found and embeddings:
        found.save(embeddings)
        photos, features = found.vectors.shape
        said = f"Feature vectors of the {photos:,} photos that could be read, {features:,} numbers each: {embeddings}"
        print(said, file=sys.stderr if as_csv else sys.stdout)
    if any(prediction.error for prediction in predictions):
        sys.exit(EXIT_FAILED)


def _table(classes: Sequence[str], predictions: Sequence["Prediction"]) -> Iterator[Sequence[object]]:
    yield ["path", "error", "predicted", "probability", *classes]
    for prediction in predictions:
        if prediction.error:
            yield [prediction.path, prediction.error, "", "", *[""] * len(classes)]
        else:
            found = dict(prediction.top)
            yield [prediction.path, "", *prediction.top[0], *(found[name] for name in classes)]
