"""A pretrained classifier that answers with the classes of a data set, nothing of it trained."""

from collections.abc import Sequence

import keras

NEVER = -1e9
"""The logit of a class that the classifier doesn't know: its probability is 0."""


def build_as_is(classifier: keras.Model, outputs: Sequence[Sequence[int]]) -> keras.Model:
    """Translate a classifier's answers into the classes of a data set.

    A class is as likely as the likeliest of the outputs that stand for it, so that the answer is the class of the best
    of them all; a sum would favour classes with many. These probabilities are then divided by their sum over all
    classes, which is what softmax over the outputs' logits does.

    Args:
        classifier: from pixels to logits, [batch, outputs].
        outputs: for each class, the outputs that stand for it; none where the classifier doesn't know the class. At
            least one class must be known.

    Returns:
        A model from pixels to probabilities, [batch, classes]; 0 for classes that the classifier doesn't know. Its
        last layer, `translation`, takes the classifier's logits.
    """
    if not any(outputs):
        raise ValueError("The classifier knows none of the classes, so it can't choose among them.")
    # Shorter lists are filled up with their own first output, which leaves their largest as it is
    unknown, most = classifier.output_shape[-1], max(map(len, outputs))
    table = [[*known, *[known[0] if known else unknown] * (most - len(known))] for known in outputs]

    logits = keras.Input((unknown,), name="logits")
    x = keras.ops.pad(logits, ((0, 0), (0, 1)), constant_values=NEVER)
    x = keras.ops.max(keras.ops.take(x, table, axis=-1), axis=-1)
    translation = keras.Model(logits, keras.layers.Softmax(dtype="float32")(x), name="translation")

    photo = keras.Input(classifier.input_shape[1:], name="photo")
    return keras.Model(photo, translation(classifier(photo, training=False)), name="as_is")
