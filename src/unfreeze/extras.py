"""Keys of a recipe that are off by default: a recipe that does without them says nothing of them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer


class Section(BaseModel):
    """A part of a recipe: unknown keys and wrong types are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=10**6)]


class Extras(Section):
    """Keys that are off unless a recipe sets them; those that are off are never written down."""

    @model_serializer(mode="wrap")
    def _without_what_is_off(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        off = {**Regimen.model_fields, **ModelExtras.model_fields}
        return {key: value for key, value in write(self).items() if key not in off or value != off[key].default}


class Regimen(Extras):
    """How steps are made; each key is off by default. Phases can have their own, but for `solver: lbfgs`.

    Attributes:
        layer_decay: the backbone's learning rates by depth: the last block's is the head's times this, and so on for
            each block before it.
        warmup: epochs, or a part of one, in which the learning rate rises evenly from 0.
        schedule: `cosine` lets the learning rate fall to 0 over the phase, step by step.
        weight_decay: share of the weights, times the learning rate, that each step takes off; not of biases and
            BatchNormalization. Decoupled from the gradient, as in AdamW.
        label_smoothing: share of each label that is spread evenly over all classes.
        mixup: alpha of the beta distribution that says in which shares two photos of a batch are mixed: in pixels
            where all layers are trained, else in what the frozen layers make of them.
        ema: momentum with which weights are averaged over the steps; the averages are what is validated and kept.
    """

    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    warmup: Annotated[float, Field(ge=0, le=1000)] = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.0
    label_smoothing: Share = 0.0
    mixup: Annotated[float, Field(ge=0, le=100)] = 0.0
    ema: Share = 0.0

    @property
    def changes_steps(self) -> bool:
        """Whether the optimizer does anything else than without the regimen."""
        return bool(
            self.layer_decay != 1 or self.warmup or self.schedule != "constant" or self.weight_decay or self.ema
        )

    @property
    def needs_soft_labels(self) -> bool:
        """Whether a photo can belong to several classes in part."""
        return bool(self.label_smoothing or self.mixup)


class ModelExtras(Extras):
    """What all phases of an experiment share; each key is off by default.

    Attributes:
        class_weights: `balanced` lets each class weigh the same in the loss, however many photos it has.
        dropout: share of the features that each training step hides from the head.
        patience: epochs without a lower validation loss after which a phase ends, with its best weights back.
        test_views: views of a photo that are predicted and averaged when the model is used: `horizontal` is the photo
            and its mirror image, `flips` also both upside down, `dihedral` also all of them on their side.
    """

    class_weights: Literal["balanced"] | None = None
    dropout: Share = 0.0
    patience: Count | None = None
    test_views: Literal["horizontal", "flips", "dihedral"] | None = None
