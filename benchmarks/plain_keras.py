"""The five models in plain Keras, as a notebook would train them: the other side of `series_vs_plain_keras.py`.

Only the network itself comes from unfreeze, since Keras has no EfficientNet-Lite; the photos, their splits and all
settings are those of a series that unfreeze ran. Prints one JSON document: seconds and test accuracies.
"""

import argparse
import csv
import json
import time
from collections import Counter
from pathlib import Path

import keras
import tensorflow as tf
import yaml

from unfreeze.models.backbones import build_backbone


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("series", type=Path, help="folder of a series that unfreeze ran")
    arguments.add_argument("root", type=Path, help="folder that the paths in its splits.csv start from")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--tuned", action="store_true", help="cache decoded photos, prefetch, leave XLA off")
    options = arguments.parse_args()

    recipe = yaml.safe_load((options.series / "recipe.yaml").read_text())
    with (options.series / "splits.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    classes = sorted({row["label"] for row in rows})
    work = options.series.parent / "plain"
    work.mkdir(exist_ok=True)

    def photos(split: str, fraction: float = 1.0) -> list[dict[str, str]]:
        chosen = [row for row in rows if row["split"] == split]
        if split != "train":
            return chosen
        pool = Counter(row["label"] for row in rows if row["split"] in ("train", "val"))
        return [row for row in chosen if int(row["rank"]) < max(1, int(fraction * pool[row["label"]] + 1e-9))]

    def dataset(chosen: list[dict[str, str]], size: int, batch: int, shuffle: bool) -> tf.data.Dataset:
        paths = [str(options.root / row["path"]) for row in chosen]
        labels = [classes.index(row["label"]) for row in chosen]

        def read(path: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            photo = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
            photo = tf.image.resize(photo, (size, size), antialias=True)
            photo.set_shape((size, size, 3))
            return (tf.cast(photo, tf.uint8) if options.tuned else photo), label

        files = tf.data.Dataset.from_tensor_slices((paths, labels))
        if options.tuned:
            data = files.map(read, tf.data.AUTOTUNE).cache()
            data = data.shuffle(len(chosen), seed=options.seed) if shuffle else data
        else:
            data = files.shuffle(len(chosen), seed=options.seed) if shuffle else files
            data = data.map(read, tf.data.AUTOTUNE)
        return data.batch(batch).prefetch(tf.data.AUTOTUNE)

    seconds, accuracies = {"train": 0.0, "evaluate": 0.0}, {}
    test_data = validation = None
    for name, settings in recipe["experiments"].items():
        started = time.perf_counter()
        size, batch = settings["data"]["image_size"], settings["data"]["batch_size"]
        if test_data is None:
            test_data = dataset(photos("test"), size, batch, shuffle=False)
            validation = dataset(photos("val"), size, batch, shuffle=False)
        keras.utils.set_random_seed(options.seed)

        # Model
        backbone = build_backbone(settings["backbone"], size)
        phase = settings["phases"][0]
        backbone.trainable = bool(phase["unfreeze"])
        if phase["unfreeze"]:
            for position, layer in enumerate(reversed(backbone.layers)):
                # BatchNormalization stays in inference mode, as Keras's examples advise and unfreeze does
                normalizes = isinstance(layer, keras.layers.BatchNormalization)
                layer.trainable = position < phase["unfreeze"] and not normalizes
        inputs = keras.Input((size, size, 3))
        x = inputs
        if augment := settings["augment"]:
            x = keras.layers.RandomFlip(augment["flip"])(x)
            x = keras.layers.RandomRotation(augment["rotation"])(x)
            x = keras.layers.RandomZoom(augment["zoom"])(x)
            x = keras.layers.RandomZoom(augment["height"], augment["width"])(x)
        x = backbone(x, training=False)
        x = keras.layers.GlobalAveragePooling2D()(x)
        outputs = keras.layers.Dense(len(classes), activation="softmax")(x)
        model = keras.Model(inputs, outputs)
        if parent := settings.get("from"):
            model.load_weights(work / f"{parent}.weights.h5")

        # Training
        model.compile(
            optimizer=keras.optimizers.Adam(phase["learning_rate"]),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=False if options.tuned else "auto",
        )
        best = work / f"{name}.weights.h5"
        checkpoint = keras.callbacks.ModelCheckpoint(
            best, monitor="val_loss", save_best_only=True, save_weights_only=True
        )
        model.fit(
            dataset(photos("train", settings["fraction"]), size, batch, shuffle=True),
            validation_data=validation,
            epochs=phase["epochs"],
            callbacks=[checkpoint],
            verbose=0,
        )
        seconds["train"] += time.perf_counter() - started

        # Evaluation
        started = time.perf_counter()
        model.load_weights(best)
        accuracies[name] = model.evaluate(test_data, verbose=0)[1]
        seconds["evaluate"] += time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "accuracies": accuracies}))


if __name__ == "__main__":
    main()
