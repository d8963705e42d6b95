"""Checksums: how a file that was damaged after it was written is told from a whole one.

A sealed JSON file ends with the SHA-256 of all that stands before it. A run's `metrics.json` is sealed, is written
last, and holds the SHA-256 of the run's other files; so one look at a run tells whether it is as it was left.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from unfreeze.errors import RunError
from unfreeze.files import file_sha256, replace_bytes

METRICS = "metrics.json"
"""The file in a run's folder that seals the others."""

WEIGHTS = ("checkpoints/best.weights.h5", "checkpoints/last/last.weights.h5")
RUN_FILES = ("config.yaml", "lineage.json", "classes.json", "history.csv", "predictions.csv", "model.keras", *WEIGHTS)
"""All files of a run that anything is read from, as far as its kind has them."""

REMEDY = (
    "Make the call of `unfreeze run` or `train` again that made it: what is damaged is made anew, all else is kept."
)

_SEAL = b',\n "sha256": "'
_END = b'"\n}\n'


def write_sealed(path: Path, content: Mapping[str, Any], indent: int | None = 1) -> None:
    """Write JSON that a person can read too, with a checksum of it as its last entry, the whole file or nothing."""
    replace_bytes(path, sealed(content, indent))


def sealed(content: Mapping[str, Any], indent: int | None = 1) -> bytes:
    """Give `content`, which must have an entry, as JSON whose last entry `sha256` is a checksum of all before it."""
    own = {key: value for key, value in content.items() if key != "sha256"}
    text = json.dumps(own, indent=indent, ensure_ascii=False).removesuffix("}").rstrip()
    body = text.encode("utf-8", "surrogateescape")
    return body + _SEAL + hashlib.sha256(body).hexdigest().encode() + _END


def unsealed(data: bytes) -> dict[str, Any]:
    """Read what `sealed` gave.

    Raises:
        ValueError: it is something else, or was changed since.
    """
    body, _, end = data.rpartition(_SEAL)
    if end != hashlib.sha256(body).hexdigest().encode() + _END:
        raise ValueError("its checksum is not that of its content")
    return json.loads(data.decode("utf-8", "surrogateescape"))


def read_sealed(path: Path) -> dict[str, Any]:
    """Read a sealed JSON file of a series or run.

    Raises:
        RunError: it isn't there, or is damaged.
    """
    try:
        return unsealed(path.read_bytes())
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error


def is_sealed(path: Path) -> bool:
    """Whether a sealed JSON file is there and whole."""
    try:
        return bool(unsealed(path.read_bytes()))
    except (OSError, ValueError):
        return False


def hashes(folder: Path, names: Iterable[str] = RUN_FILES) -> dict[str, str]:
    """Give the SHA-256 of those files of a folder that are there, for a seal."""
    return {name: file_sha256(folder / name) for name in names if (folder / name).is_file()}


def damage(run: Path, but: Collection[str] = ()) -> str | None:
    """Look for a file of a finished run that is not as it was left.

    Args:
        run: the run's folder.
        but: files that need not be looked at.

    Returns:
        The first such file, with what is wrong; None where the run is whole.
    """
    try:
        files = unsealed((run / METRICS).read_bytes())["files"]
    except (OSError, ValueError, KeyError) as error:
        return f"{run / METRICS} is damaged ({error})"
    for name, sha256 in files.items():
        if name in but:
            continue
        try:
            if file_sha256(run / name) != sha256:
                return f"{run / name} is damaged (its checksum is not that in {METRICS})"
        except OSError as error:
            return f"{run / name} can't be read ({error.strerror})"
    return None


def ensure_whole(run: Path, but: Collection[str] = ()) -> None:
    """Refuse a run that is damaged.

    Args:
        run: the run's folder.
        but: files that need not be looked at.

    Raises:
        RunError: naming the file and the remedy.
    """
    if problem := damage(run, but):
        raise RunError(f"{problem}, so nothing of this run is used. {REMEDY}")


def damaged(file: Path, why: object) -> RunError:
    """Make the error of a file that is not what it should be."""
    return RunError(f"{file} is damaged or missing ({why}). {REMEDY}")


def seal_file(file: Path) -> None:
    """Write a file's checksum beside it, for `is_as_sealed`."""
    replace_bytes(_beside(file), file_sha256(file).encode())


def is_as_sealed(file: Path) -> bool:
    """Whether a file is there and is what it was when `seal_file` was called."""
    try:
        return _beside(file).read_bytes() == file_sha256(file).encode()
    except OSError:
        return False


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.sha256")
