"""Backbones that lie in files of the user's own: where they are, and what tells their content from another."""

import hashlib
from functools import lru_cache
from pathlib import Path

from unfreeze.errors import BackboneError
from unfreeze.files import file_sha256

OWN_ENDING = ".keras"
"""A backbone's name that ends so is the path of a model that Keras saved."""

PRESET = "keras_hub:"
"""A backbone's name that begins so goes on with a preset of KerasHub: its name, its handle, or a folder."""


def is_own(name: str) -> bool:
    """Say whether a backbone's name is the path of a model that Keras saved."""
    return name.endswith(OWN_ENDING) and not name.startswith(PRESET)


def preset_of(name: str) -> str | None:
    """Give the KerasHub preset that a backbone's name stands for, or None."""
    return name.removeprefix(PRESET) if name.startswith(PRESET) else None


def own_file(name: str) -> Path:
    """Give the file of a backbone of one's own.

    Raises:
        BackboneError: it isn't there.
    """
    if not Path(name).is_file():
        raise BackboneError(f"There is no file {name}. A backbone of your own is a model that Keras saved as .keras.")
    return Path(name)


def located(name: str) -> str:
    """Give a backbone's name in a form that means the same from every folder.

    Raises:
        BackboneError: it is the path of a file that isn't there.
    """
    if is_own(name):
        return str(own_file(name).resolve())
    folder = _preset_folder(name)
    return f"{PRESET}{folder.resolve()}" if folder else name


def backbone_sha256(name: str) -> str | None:
    """Hash the files that a backbone is built from.

    Returns:
        SHA-256 in hexadecimal; None where a name stands for published weights.

    Raises:
        BackboneError: it is the path of a file that isn't there.
    """
    hashes = {file.name: _sha256_of_state(file, file.stat().st_size, file.stat().st_mtime_ns) for file in _files(name)}
    if is_own(name):
        return hashes[Path(name).name]
    return hashlib.sha256(repr(hashes).encode()).hexdigest() if hashes else None


def _files(name: str) -> list[Path]:
    folder = _preset_folder(name)
    if folder:
        return sorted(path for path in folder.rglob("*") if path.is_file())
    return [own_file(name)] if is_own(name) else []


def _preset_folder(name: str) -> Path | None:
    preset = preset_of(name)
    return Path(preset) if preset and Path(preset).is_dir() else None


@lru_cache(maxsize=64)
def _sha256_of_state(file: Path, size: int, changed: int) -> str:
    """Hash a file's bytes, once for each state of the file."""
    return file_sha256(file)
