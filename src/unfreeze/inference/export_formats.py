"""The kinds of files that a run is exported to."""

from pathlib import Path

from unfreeze.errors import RunError

SUFFIXES = {"keras": ".keras", "onnx": ".onnx", "litert": ".tflite"}
"""Format -> how its files' names end; each format's own readers go by that."""


def ensure_fitting(name: str, out: Path, int8: bool = False) -> None:
    """Refuse a format that there isn't, and a path that a file of this format can't have.

    Raises:
        RunError: there is no such format, or none in 8 bits, the path is a folder, or its name ends otherwise.
    """
    if name not in SUFFIXES:
        raise RunError(f"There is no format {name}; there are {', '.join(SUFFIXES)}.")
    if int8 and name != "onnx":
        raise RunError(f"Only onnx is written in 8 bits, not {name}: give --format onnx, or leave out --int8.")
    suffix = SUFFIXES[name]
    if out.is_dir():
        raise RunError(f"{out} is a folder, not a file to write: give {out / f'model{suffix}'} or the like.")
    if out.suffix != suffix:
        raise RunError(
            f"{out} can't be a file of the format {name}, whose names end with {suffix}: "
            f"give {out.with_suffix(suffix).name}."
        )
