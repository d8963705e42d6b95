"""What a recipe can say, with every default. Nothing else has defaults of its own, but `extras.py` what is off.

A setting that has none here (`None`) is decided by another: `image_size` by the backbone, `learning_rate`
by whether anything is unfrozen. `resolve` in `series/recipe.py` turns these into complete `Experiment`s.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from unfreeze.extras import Count, ModelExtras, Regimen, Section, Share

DEFAULT_BACKBONE = "efficientnet_lite0"
FEATURE_EXTRACTION_LEARNING_RATE = 1e-3
FINE_TUNING_LEARNING_RATE = 1e-4
"""Ten times smaller: pretrained weights should be adjusted, not overwritten."""

DEFAULT_LOSS = "sparse_categorical_crossentropy"
SOFT_LOSS = "categorical_crossentropy"
"""The same for photos that belong to several classes in part."""

TEST_SHARE = 0.25
"""Share of the photos carved for test where a data set comes without a test split."""

BAD_FILES_LIMIT = 0.05
"""A run stops before training when a larger share of the files than this can't be used."""

Seed = Annotated[int, Field(ge=0, lt=2**32)]
LearningRate = Annotated[float, Field(gt=0, le=10)]
FolderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
"""Names a folder too, so it must not lead anywhere else."""


class Augmentation(Section):
    """Random changes to a training photo; each is drawn uniformly, what is left out stays as it is.

    Attributes:
        flip: mirror left-right, top-bottom or both, each with probability one half.
        rotation: largest angle to either side, as a share of a full turn (0.2 is 72 degrees).
        zoom: largest relative change of both sides' scale together (0.2: from 0.8 to 1.2).
        height: largest relative change of the height's scale alone.
        width: largest relative change of the width's scale alone.
        views: how many views of a photo there are, used in turn, the first one the photo as it is; without it each
            epoch has its own, and all are changed.
    """

    flip: Literal["horizontal", "vertical", "horizontal_and_vertical"] | None = None
    rotation: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    zoom: Share = 0.0
    height: Share = 0.0
    width: Share = 0.0
    views: Count | None = None


class Blocks(Section):
    """`unfreeze: {blocks: 2}`: the backbone's last two blocks and all that follows them."""

    blocks: Count


Unfreeze = Annotated[int, Field(ge=0)] | str | Blocks
"""The last N layers; from the block or layer of this name on (or `all`); the last N blocks."""


Solver = Literal["adam", "lbfgs"]
"""How weights are found: step by step, batch by batch, or, for the head alone, as a logistic regression."""


class Phase(Regimen):
    """Some epochs with one set of unfrozen layers, one solver and one learning rate."""

    unfreeze: Unfreeze = 0
    epochs: Count = 5
    learning_rate: LearningRate | None = None
    solver: Solver = "adam"


Resize = Literal["squash", "crop", "pad"]
"""How a photo becomes a square; `data/photos.py` says what each does."""


class PhotoSettings(Section):
    """How photos reach the network; can differ from experiment to experiment.

    Attributes:
        image_size: side of the square that photos are resized to, in pixels (default: the backbone's own).
        resize: `squash` takes the whole photo to a square, `crop` the middle square of it, and `pad` keeps the whole
            photo in its shape, with black on both sides.
        batch_size: photos a training step.
    """

    image_size: Annotated[int, Field(ge=32, le=1024)] | None = None
    resize: Resize = "squash"
    batch_size: Count = 32


class DataSettings(PhotoSettings):
    """Where the photos are and how they are split; the same for all experiments of a series.

    Attributes:
        source: a folder or the name of a data set; may be left out where `--data` is given.
        validation: share of the training photos kept for validation, 0, or `test` (validate on the test photos).
    """

    source: str | None = None
    validation: Share | Literal["test"] = 0.15


class Settings(Regimen, ModelExtras):
    """What every experiment has; at the top of a recipe it is the default of all of them.

    Attributes:
        backbone: name of the pretrained network, `keras_hub:` and a preset of KerasHub, or the path of a `.keras` file
            with a network of one's own.
        fraction: share of each class's training photos that is used.
        augment: random changes to training photos, or `false`.
        unfreeze: which of the backbone's layers are trained with the head; 0 is feature extraction.
        epochs: passes over the training photos.
        learning_rate: of Adam (default: 1e-3 with a frozen backbone, 1e-4 otherwise).
        solver: `adam`, or for a frozen backbone `lbfgs`, which fits the head to the photos as they are, not augmented,
            and as `test_views` turns them; each epoch is a whole fit with less weight decay than the one before: 0.1,
            0.03, 0.01, 0.003, 0.001.
        phases: several stages in turn, in place of `unfreeze`, `epochs`, `learning_rate` and `solver`; the keys of
            `Regimen` that a stage doesn't have are the experiment's.
        seeds: each experiment runs once with each; a seed draws the head's first weights and the photos' order.
        view_seed: draws the augmented views, which all seeds and experiments share.
        engine: `cached` runs frozen layers once a photo and view; `reference` trains the whole model with plain
            Keras `fit`.
        precision: of what frozen layers make of training photos, on disk; with `float16` a GPU may also compute them,
            and train, in bfloat16.
    """

    backbone: str = DEFAULT_BACKBONE
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    augment: Augmentation | Literal[False] = False
    unfreeze: Unfreeze = 0
    epochs: Count = 5
    learning_rate: LearningRate | None = None
    solver: Solver = "adam"
    phases: tuple[Phase, ...] | None = None
    seeds: tuple[Seed, ...] = (0,)
    view_seed: Seed = 0
    engine: Literal["cached", "reference"] = "cached"
    precision: Literal["float16", "float32"] = "float16"

    @field_validator("augment")
    @classmethod
    def _changes_something(cls, value: Augmentation | Literal[False]) -> Augmentation | Literal[False]:
        if value and not (value.flip or value.rotation or value.zoom or value.height or value.width):
            raise ValueError("nothing is changed; set one of flip, rotation, zoom, height, width, or say false")
        return value

    @field_validator("seeds", "phases", "split_seeds", mode="before", check_fields=False)
    @classmethod
    def _list_to_tuple(cls, value: object) -> object:
        if value == [] or value == ():
            raise ValueError("the list is empty; leave the key out or name at least one")
        return tuple(value) if isinstance(value, list) else value


class ExperimentSettings(Settings):
    """One experiment as a recipe writes it; what it leaves out comes from the recipe's top.

    Attributes:
        start_from: the experiment, or the path of a finished run, whose weights to start from.
        data: how photos reach the network, where that differs from the recipe's.
        kind: `as_is` trains nothing: the pretrained classifier answers with ImageNet's classes.
        class_map: of `as_is`: class of the data set -> names of ImageNet's classes that stand for it, where they don't
            have its own name.
    """

    start_from: str | None = Field(default=None, alias="from")
    data: PhotoSettings = PhotoSettings()
    kind: Literal["as_is"] | None = None
    class_map: dict[str, list[str]] = Field(default_factory=dict)


class Reference(Section):
    """A test accuracy that others got.

    Attributes:
        accuracy: share predicted right.
        photos: test photos that it was measured on, which say how sure it is; None where that isn't known.
    """

    accuracy: Annotated[float, Field(ge=0, le=1)]
    photos: Count | None = None


class Recipe(Settings):
    """A whole recipe: data, defaults, and a series of experiments by name.

    Attributes:
        split_seeds: everything is run once with each; a split seed names the order in which photos are dealt to the
            splits that the data set does not come with.
        references: name -> what others got on photos of the same kind, to be compared with.
    """

    name: FolderName
    data: DataSettings = DataSettings()
    split_seeds: tuple[Seed, ...] = (0,)
    references: dict[str, Reference] = Field(default_factory=dict)
    experiments: Annotated[dict[FolderName, ExperimentSettings], Field(min_length=1)]


class Experiment(ModelExtras):
    """One experiment with everything decided: what a run folder's `config.yaml` holds.

    Attributes:
        start_from: the parent's name, `NAME` or `NAME@last`, or a path to a finished run; None for ImageNet.
        phases: at least one; `unfreeze`, `epochs`, `learning_rate`, `solver` and a `Regimen` live only here.
    """

    name: str
    start_from: str | None
    backbone: str
    image_size: int
    resize: str
    batch_size: int
    fraction: float
    augment: Augmentation | Literal[False]
    phases: tuple[Phase, ...]
    seeds: tuple[int, ...]
    view_seed: int
    engine: str
    precision: str

    @property
    def kind(self) -> str:
        """`feature_extraction` while nothing of the backbone is trained, else `fine_tuning`."""
        return "fine_tuning" if any(phase.unfreeze != 0 for phase in self.phases) else "feature_extraction"

    @property
    def extras(self) -> dict[str, Any]:
        """Keys that are off by default and set here; those of a `Regimen` as the last phase has them that does."""
        parts = [(self, ModelExtras), *((phase, Regimen) for phase in self.phases)]
        return {
            key: getattr(part, key)
            for part, kind in parts
            for key, field in kind.model_fields.items()
            if getattr(part, key) != field.default
        }

    @property
    def trains_whole(self) -> bool:
        """Whether Keras is given the whole network; not where rows are mixed between its frozen and trained layers."""
        return self.engine == "reference" and not any(phase.mixup for phase in self.phases)

    @property
    def in_bfloat16(self) -> bool:
        """Whether a GPU that is faster so may train in bfloat16."""
        return self.engine == "cached" and self.precision == "float16"

    @property
    def epochs(self) -> int:
        """Epochs of all phases together."""
        return sum(phase.epochs for phase in self.phases)

    def in_phase(self, phase: Phase) -> "Experiment":
        """Give the settings by which a phase sees its training photos: for L-BFGS they aren't augmented."""
        return self.model_copy(update={"augment": False}) if phase.solver == "lbfgs" else self

    @property
    def views(self) -> int:
        """Different views of each training photo: 1 without augmentation, else one an epoch or `augment.views`."""
        if not self.augment:
            return 1
        return min(self.augment.views or self.epochs, self.epochs)


AS_IS_RESIZE: Resize = "crop"
"""How a pretrained classifier wants its photos."""

AS_IS_KEYS = frozenset({"kind", "class_map", "backbone"})
"""What an experiment of `kind: as_is` can say; all else is about training, or decided by the network."""


class AsIs(Section):
    """The pretrained classifier unchanged, with everything decided; it has what walking through a series needs.

    Attributes:
        class_map: as the recipe has it.
    """

    name: str
    backbone: str
    image_size: int
    resize: str = AS_IS_RESIZE
    class_map: dict[str, list[str]]

    kind: ClassVar[str] = "as_is"
    start_from: ClassVar[None] = None
    phases: ClassVar[tuple[Phase, ...]] = ()
    seeds: ClassVar[tuple[int, ...]] = (0,)
    test_views: ClassVar[None] = None
    batch_size: ClassVar[int] = 32


AnyExperiment = Experiment | AsIs

TRAIN_NAME = "model"
"""What `unfreeze train` calls its experiment where no name is given."""

TRAIN_AUGMENT = Augmentation(flip="horizontal", rotation=0.03, zoom=0.1)
"""How `unfreeze train` with flags changes photos."""

TRAIN_FIRST: dict[str, Any] = {
    "blocks": 10,
    "learning_rate": 3e-4,
    "layer_decay": 0.85,
    "augment": "strong",
    "weight_decay": 0.02,
    "dropout": 0.0,
}
"""What `unfreeze train` does without flags after it has fitted the head, and what a search tries first. No label
smoothing: it makes validation losses larger than the head's own, which would then be kept as the best."""


def train_epochs(photos: int) -> int:
    """Give the epochs of fine-tuning without flags: about 12,000 photos shown, in 5 to 40 epochs."""
    return max(5, min(40, round(12_000 / photos)))
