"""`photo_checks.json`: photos of a series that are worth a second look."""

from dataclasses import dataclass
from pathlib import Path

from unfreeze.seals import damaged, read_sealed


@dataclass(frozen=True)
class Checked:
    """A photo: its path from the data's root, its split, the name of its class."""

    path: str
    split: str
    label: str


@dataclass(frozen=True)
class NearDuplicate:
    """Two photos of different splits that show all but the same; `similarity` is the cosine of their features."""

    photos: tuple[Checked, Checked]
    similarity: float


@dataclass(frozen=True)
class SuspiciousLabel(Checked):
    """A photo that looks like another class than its label says.

    Attributes:
        probability: of its label, by a model trained on the other photos.
        looks_like: the class that this model takes it for.
        sure: how sure it is of that.
    """

    probability: float
    looks_like: str
    sure: float


@dataclass(frozen=True)
class PhotoChecks:
    """What was found among the photos.

    Attributes:
        backbone: whose features were looked at.
        photos: how many were looked at.
        looked_at: SHA-256 of the network and of the photos with their labels and splits.
        near_duplicates: the most similar first.
        suspicious_labels: the least probable first.
    """

    backbone: str
    photos: int
    looked_at: str
    near_duplicates: tuple[NearDuplicate, ...]
    suspicious_labels: tuple[SuspiciousLabel, ...]


def read_photo_checks(out: Path) -> PhotoChecks | None:
    """Read what was found among a series' photos; None where nobody has looked.

    Raises:
        RunError: it is damaged, or something else is in the file.
    """
    import pydantic

    file = out / "photo_checks.json"
    if not file.is_file():
        return None
    try:
        return pydantic.TypeAdapter(PhotoChecks).validate_python(read_sealed(file))
    except pydantic.ValidationError as error:
        raise damaged(file, f"{error.error_count()} fields are missing or wrong") from None
