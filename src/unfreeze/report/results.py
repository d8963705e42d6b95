"""`results.json`: everything that a series has found out, as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from unfreeze.errors import RunError
from unfreeze.seals import damaged, unsealed

SCHEMA = 1


@dataclass(frozen=True)
class Dataset:
    """The photos of a series.

    Attributes:
        name: of the data set or its folder.
        classes: in the order of all probabilities and confusion matrices.
        train: photos of the whole training pool, without validation.
        val: validation photos.
        test: test photos.
        bad: files left out because they can't be used.
        sha256: of the splits.
        validation: the recipe's `data.validation`: a share, or `test` where the test photos validate too.
        split_seed: of the split whose photos are counted here.
        test_is_carved: whether every split seed takes other test photos.
    """

    name: str
    classes: tuple[str, ...]
    train: int
    val: int
    test: int
    bad: int
    sha256: str
    validation: float | Literal["test"] | None = None
    split_seed: int = 0
    test_is_carved: bool = False


@dataclass(frozen=True)
class Seconds:
    """Where one run's time went."""

    data: float
    features: float
    train: float
    evaluate: float
    total: float


@dataclass(frozen=True)
class Validation:
    """The best epoch's figures on the validation photos."""

    accuracy: float
    loss: float


@dataclass(frozen=True)
class TestScores:
    """The best epoch's figures on the test photos; their meaning is said in `evaluation.metrics`.

    The last three are None in results from before there was calibration.
    """

    __test__ = False  # or pytest takes it for a class of tests

    n: int
    accuracy: float
    ci95: tuple[float, float]
    macro_f1: float
    nll: float
    ece: float
    brier: float | None = None
    nll_uncalibrated: float | None = None
    ece_uncalibrated: float | None = None


@dataclass(frozen=True)
class Coverage:
    """The classes that a pretrained classifier knows as it is.

    Attributes:
        classes: those that it knows.
        missing: all others; their photos count as wrong in the test figures.
        n: test photos of the classes that it knows; None, like the next, where the test set was not read.
        accuracy: share of these that is predicted right; None if there are none.
    """

    classes: tuple[str, ...]
    missing: tuple[str, ...]
    n: int | None
    accuracy: float | None


@dataclass(frozen=True)
class ExperimentResult:
    """One experiment with one seed; what does not apply to its kind is None.

    Attributes:
        path: of the run's folder, from OUT.
        fraction: share of each class's training photos that was used.
        train_images: training photos used, without validation.
        views: different views of each training photo.
        unfreeze: which layers were trained, as the recipe says it.
        start_from: the parent experiment.
        val: None where there was no validation.
        test: None where the test set was not read.
        split_seed: names the split.
        temperature: that calibrates the model's probabilities; 1 where there was no validation.
        coverage: of as-is.
    """

    name: str
    kind: Literal["as_is", "feature_extraction", "fine_tuning"]
    seed: int
    path: str
    backbone: str
    fraction: float | None
    train_images: int | None
    augment: bool | None
    views: int | None
    unfreeze: Any
    trainable_parameters: int | None
    start_from: str | None
    epochs: int | None
    seconds: Seconds
    val: Validation | None
    test: TestScores | None
    split_seed: int = 0
    temperature: float = 1.0
    coverage: Coverage | None = None


@dataclass(frozen=True)
class Published:
    """A test accuracy that others got, and on how many photos, where that is known."""

    accuracy: float
    photos: int | None


@dataclass(frozen=True)
class SeriesSeconds:
    """Time of the whole series."""

    total: float


@dataclass(frozen=True)
class Results:
    """A whole series: the content of `results.json`, and where it stands.

    Attributes:
        environment: versions, backend, engine and machine.
        experiments: in the recipe's order, each with its seeds.
        out: the folder that they were read from.
        left_out: experiments that can't be run with these photos, with reasons.
        references: name -> what others got on photos of the same kind.
    """

    schema: int
    dataset: Dataset
    environment: dict[str, Any]
    experiments: tuple[ExperimentResult, ...]
    seconds: SeriesSeconds
    out: Path
    left_out: dict[str, str] = field(default_factory=dict)
    references: dict[str, Published] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        from unfreeze.report.table import html_table  # which imports this module

        return html_table(self)


def load_results(out: Path) -> Results:
    """Read `results.json` of a series' folder.

    Fields that this version does not know are passed over.

    Raises:
        RunError: there is none, it is damaged, has another schema, or fields are missing or wrong (all are named).
    """
    import pydantic

    file = out / "results.json"
    try:
        text = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(
            f"{out} holds no results.json, so no finished experiment. Name the folder that `unfreeze run` "
            "wrote (its --out, or runs/NAME), or call `unfreeze run` again to finish it."
        ) from None
    try:
        content = unsealed(text)
    except ValueError as error:
        raise damaged(file, error) from None
    try:
        schema = content.get("schema")
        if schema != SCHEMA:
            raise RunError(
                f"{file} has schema {schema!r}, but this version of unfreeze reads schema {SCHEMA}. "
                "Read it with the version that its `environment` names."
            )
        return as_results(content, out)
    except pydantic.ValidationError as error:
        mistakes = [f"  - {_where(each['loc'])}{each['msg']}" for each in error.errors()]
        raise RunError(
            f"{file} is not what unfreeze writes; `unfreeze run` writes it again from the finished runs:\n"
            + "\n".join(mistakes)
        ) from None


def as_results(content: dict[str, Any], out: Path) -> Results:
    """Give the content of a `results.json` as dataclasses.

    Raises:
        pydantic.ValidationError: fields are missing or wrong.
    """
    import pydantic

    return pydantic.TypeAdapter(Results).validate_python({**content, "out": out})


def _where(location: Sequence[int | str]) -> str:
    return f"{'.'.join(str(step) for step in location)}: " if location else ""
