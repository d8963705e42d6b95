"""`unfreeze predict`: classes of new photos."""

import sys
from pathlib import Path
from typing import Annotated

import typer

import unfreeze
from unfreeze.cli.app import EXIT_FAILED, print_json, verb
from unfreeze.cli.screen import screen


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
) -> None:
    """Predict photos and folders of them."""
    predictions = unfreeze.load(run).predict(images)
    if screen.json:
        print_json([prediction.to_json() for prediction in predictions])
    else:
        for prediction in predictions:
            top = ", ".join(f"{name} {probability:.1%}" for name, probability in prediction.top)
            print(f"{prediction.path}: {prediction.error or top}")
    if any(prediction.error for prediction in predictions):
        sys.exit(EXIT_FAILED)
