"""`unfreeze export`: a finished run as one file for other software."""

from pathlib import Path
from typing import Annotated

import typer

import unfreeze
from unfreeze.cli.app import print_json, verb
from unfreeze.cli.options import RunArgument
from unfreeze.cli.screen import screen
from unfreeze.errors import RunError


@verb(example="unfreeze export runs/my_photos/experiments/model/seed-0 --format onnx --out model.onnx")
def export(
    run: RunArgument,
    format: Annotated[str, typer.Option("--format", metavar="F", help="keras, onnx or litert (TensorFlow Lite).")],
    out: Annotated[Path, typer.Option("--out", metavar="PATH", help="The file: x.keras, x.onnx or x.tflite.")],
    int8: Annotated[bool, typer.Option("--int8", help="Compute in 8 bits (onnx): a quarter of the size.")] = False,
) -> None:
    """Write a run as one file that needs nothing of unfreeze."""
    from unfreeze.inference.export_formats import ensure_fitting

    try:
        ensure_fitting(format, out, int8)
    except RunError as error:
        raise typer.BadParameter(str(error)) from error
    exported = unfreeze.export(run, format, out, int8)
    if screen.json:
        print_json(exported.to_json())
    else:
        print(exported)
