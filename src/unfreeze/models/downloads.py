"""Keras's folder of downloaded weights, and what a download that was cut off leaves there."""

import os
from pathlib import Path

import h5py


def weight_files() -> list[Path]:
    """List the files of weights that Keras has downloaded."""
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"
    return list(folder.glob("*.h5"))


def remove_damaged_weights() -> bool:
    """Delete weight files that end too early; Keras would take them for whole ones for ever.

    It writes to a file's final place, and where a process is killed in between, the beginning stays there. Some
    networks have checksums against that, MobileNet and MobileNetV2 have none.

    Returns:
        Whether there were any.
    """
    damaged = [file for file in weight_files() if not _opens(file)]
    for file in damaged:
        file.unlink(missing_ok=True)
    return bool(damaged)


def _opens(file: Path) -> bool:
    try:
        h5py.File(file, "r").close()
    except OSError:
        return False
    return True
