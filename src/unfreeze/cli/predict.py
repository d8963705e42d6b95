"""`unfreeze predict`: classes of new photos."""

import sys
from pathlib import Path
from typing import Annotated

import typer

import unfreeze
from unfreeze.cli.app import EXIT_FAILED, print_json, verb
from unfreeze.cli.screen import screen


def _npz(out: Path | None) -> Path | None:
    if out is not None and out.suffix != ".npz":
        raise typer.BadParameter(f"feature vectors are written as .npz: give {out.with_suffix('.npz').name}.")
    return out


@verb(example="unfreeze predict runs/my_photos/experiments/model/seed-0 photo.jpg holiday/")
def predict(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN_OR_BACKBONE",
            help="A run: OUT/experiments/NAME/seed-K; or a pretrained network as it is (efficientnet_lite0).",
        ),
    ],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE_OR_DIR...", help="Photos, or folders of photos.")],
    embeddings: Annotated[
        Path | None,
        typer.Option("--embeddings", metavar="x.npz", callback=_npz, help="Write the photos' feature vectors too."),
    ] = None,
) -> None:
    """Predict photos and folders of them."""
    predictor = unfreeze.load(run)
    found = predictor.embeddings(images) if embeddings else None
    predictions = found.predictions if found else predictor.predict(images)
    if screen.json:
        print_json([prediction.to_json() for prediction in predictions])
    else:
        for prediction in predictions:
            print(prediction)
    if found and embeddings:
        found.save(embeddings)
        photos, features = found.vectors.shape
        print(f"Feature vectors of the {photos:,} photos that could be read, {features:,} numbers each: {embeddings}")
    if any(prediction.error for prediction in predictions):
        sys.exit(EXIT_FAILED)
