"""On a GPU: unfreeze against plain Keras `fit` on the same backend, and against a plain PyTorch loop.

    python benchmarks/gpu.py --backends jax torch

Two kinds of work. Fine-tuning all layers of EfficientNetB0 and ResNet50 on synthetic photos of 224 x 224: photos a
second in the epochs after the first, where everything is compiled. The five models of `food_vision` on EfficientNetB0:
seconds of the whole process. The networks have random weights, on which speed doesn't depend. Each side is a process
of its own. Plain Keras computes in float32, as it comes; the PyTorch loop uses torchvision's networks, channels_last,
autocast to bfloat16 and torch.compile. Plain Keras and PyTorch find all photos decoded in memory, and no statistics of
normalization are trained. Written to a JSON file as it goes on: photos a second, seconds, the GPU's utilisation.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from memory import make_photos

SIZE, BATCH, EPOCHS = 224, 64, 5
NETWORKS = {"efficientnetb0": "EfficientNetB0", "resnet50": "ResNet50"}
FIVE = "five_models"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--backends", nargs="+", choices=["jax", "torch", "tensorflow"], default=["jax", "torch"])
    arguments.add_argument("--work", nargs="+", choices=[*NETWORKS, FIVE], default=[*NETWORKS, FIVE])
    arguments.add_argument("--sides", nargs="+", choices=list(SIDES), default=list(SIDES))
    arguments.add_argument("--photos", type=int, default=4000)
    arguments.add_argument("--limit", type=int, default=600, help="seconds after which a side is stopped")
    arguments.add_argument("--out", type=Path, default=Path("gpu.json"))
    arguments.add_argument("--one", nargs=3, help=argparse.SUPPRESS)  # side, work, folder: in a process of its own
    options = arguments.parse_args()
    if options.one:
        side, work, folder = options.one
        print(json.dumps(SIDES[side](work, Path(folder))))
        return

    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_photos(folder / "photos", options.photos)
        for work in options.work:
            for side in options.sides:
                for backend in options.backends if side != "pytorch" else ["torch"]:
                    if side == "pytorch" and work == FIVE:
                        continue
                    found = measure(side, work, backend, folder, options.limit)
                    run = {"work": work, "side": side, "backend": backend, **found}
                    runs.append(run)
                    print(json.dumps(run), flush=True)
                    date = datetime.now(UTC).isoformat(timespec="seconds")
                    options.out.write_text(json.dumps({"date": date, "gpu": gpu_name(), "runs": runs}, indent=1))


def measure(side: str, work: str, backend: str, folder: Path, limit: int) -> dict[str, Any]:
    """Run one side in a process of its own, which prints its figures in its last line."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "UNFREEZE_CACHE": str(folder / f"cache-{backend}-{work}")}
    started = time.perf_counter()
    command = [sys.executable, __file__, "--one", side, work, str(folder)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired as error:
        return {"failed": [f"not ready after {limit} s", str(error.stderr or "")[-400:]]}
    wall = round(time.perf_counter() - started, 1)
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-8:], "wall": wall}
    return {"wall": wall, **json.loads(done.stdout.splitlines()[-1])}


def asked(what: str) -> list[str]:
    """Give the command that asks nvidia-smi."""
    return ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader,nounits"]


def gpu_name() -> str:
    """Name the GPU; nothing where there is none of NVIDIA's."""
    try:
        return subprocess.run(asked("name"), capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


class Watch:
    """Takes the seconds of each epoch's training, and the GPU's utilisation from the second epoch on."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._nvidia_smi: subprocess.Popen[str] | None = None
        self._started: float | None = None

    def begin(self) -> None:
        """An epoch begins."""
        if len(self.seconds) == 1 and gpu_name():
            command = [*asked("utilization.gpu"), "-lms", "100"]
            self._nvidia_smi = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._started = time.perf_counter()

    def end(self) -> None:
        """Its training has ended; said once more, nothing happens."""
        if self._started is not None:
            self.seconds.append(time.perf_counter() - self._started)
        self._started = None

    def figures(self, photos: int) -> dict[str, Any]:
        """Give photos a second, median of the epochs after the first."""
        found: dict[str, Any] = {"photos_per_second": round(photos / statistics.median(self.seconds[1:]))}
        if self._nvidia_smi:
            self._nvidia_smi.terminate()
            text = self._nvidia_smi.communicate()[0]
            found["utilisation"] = round(statistics.mean(int(line) for line in text.split()))
        return {**found, "epochs": [round(each, 2) for each in self.seconds]}

    def callback(self) -> Any:
        """The same for Keras: an epoch's training ends where its validation begins."""
        import keras

        watch = self

        class Callback(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
                watch.begin()

            def on_test_begin(self, logs: Any = None) -> None:
                watch.end()

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                watch.end()

        return Callback()


def with_unfreeze(work: str, folder: Path) -> dict[str, Any]:
    import keras

    import unfreeze

    network = "efficientnetb0" if work == FIVE else work
    backbone = folder / f"{network}.keras"
    if not backbone.exists():
        build(network).save(backbone)
    out = folder / f"unfreeze-{keras.backend.backend()}-{work}"
    if work == FIVE:
        only = [f"model_{number}" for number in range(5)]
        settings = [f"backbone={backbone}", "seeds=[0]"]
        results = unfreeze.run("food_vision", folder / "photos", out, overrides=settings, only=only)
        parts = [experiment.seconds for experiment in results.experiments]
        names = ("features", "train", "evaluate")
        return {name: round(sum(getattr(each, name) for each in parts), 1) for name in names}
    recipe = {
        "name": work,
        "data": {"image_size": SIZE, "batch_size": BATCH},
        "backbone": str(backbone),
        "experiments": {"all": {"unfreeze": "all", "epochs": EPOCHS, "learning_rate": 1e-4}},
    }
    (folder / f"{work}.yaml").write_text(json.dumps(recipe))
    watch = Watch()
    results = unfreeze.run(folder / f"{work}.yaml", folder / "photos", out, callbacks=[watch.callback()])
    return watch.figures(results.experiments[0].train_images)


def with_keras(work: str, folder: Path) -> dict[str, Any]:
    if work == FIVE:
        return five_with_keras(folder)
    watch, (pixels, labels) = Watch(), decoded(folder)
    classifier(work, frozen=False).fit(
        pixels, labels, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=[watch.callback()]
    )
    return watch.figures(len(pixels))


def five_with_keras(folder: Path) -> dict[str, Any]:
    """The five models as a notebook trains them: augmentation in the model, every epoch through all layers."""
    pixels, labels = decoded(folder)
    held_out = len(pixels) // 4
    test, train = (pixels[:held_out], labels[:held_out]), (pixels[held_out:], labels[held_out:])
    val, train = tuple(each[: held_out // 2] for each in train), tuple(each[held_out // 2 :] for each in train)
    started, models = time.perf_counter(), {}
    for number, fraction, parent in ((0, 0.1, None), (1, 0.01, None), (2, 0.1, None), (3, 0.1, 2), (4, 1.0, 2)):
        model = models[number] = classifier("efficientnetb0", frozen=True, augment=number > 0)
        if parent is not None:
            model.set_weights(models[parent].get_weights())
            backbone = model.get_layer("backbone")
            backbone.trainable = True
            for layer in backbone.layers[:-10]:
                layer.trainable = False
            compiled(model, 1e-4)
        share = [each[: int(len(each) * fraction)] for each in train]
        model.fit(*share, batch_size=32, epochs=5, validation_data=val, verbose=0)
        model.evaluate(*test, batch_size=32, verbose=0)
    return {"train_and_evaluate": round(time.perf_counter() - started, 1)}


def with_pytorch(work: str, folder: Path) -> dict[str, Any]:
    import torch
    import torchvision

    name = {"efficientnetb0": "efficientnet_b0", "resnet50": "resnet50"}[work]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = getattr(torchvision.models, name)(num_classes=2).to(device, memory_format=torch.channels_last)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    pixels, labels = decoded(folder)
    photos, classes = torch.from_numpy(pixels), torch.from_numpy(labels).long()
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)

    @torch.compile
    def loss_of(batch: Any, truth: Any) -> Any:
        with torch.autocast(device, torch.bfloat16):
            return torch.nn.functional.cross_entropy(model(batch), truth)

    watch = Watch()
    for epoch in range(EPOCHS):
        watch.begin()
        order = torch.from_numpy(np.random.default_rng(epoch).permutation(len(pixels)))
        total: Any = 0.0
        for start in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            batch = photos[chosen].to(device, non_blocking=True).permute(0, 3, 1, 2).float() / 255
            loss = loss_of(batch.contiguous(memory_format=torch.channels_last), classes[chosen].to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        float(total)  # waits for the GPU
        watch.end()
    return watch.figures(len(pixels) // BATCH * BATCH)


SIDES = {"unfreeze": with_unfreeze, "keras": with_keras, "pytorch": with_pytorch}


def build(network: str) -> Any:
    import keras

    make = getattr(keras.applications, NETWORKS[network])
    return make(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3), name="backbone")


def classifier(network: str, frozen: bool, augment: bool = False) -> Any:
    """A network with a new head, as Keras's guide to transfer learning builds it."""
    import keras

    backbone = build(network)
    backbone.trainable = not frozen
    photo = x = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    x = keras.ops.cast(x, "float32")
    if augment:
        for layer in (
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(0.2),
            keras.layers.RandomZoom(0.2),
        ):
            x = layer(x)
    x = keras.layers.GlobalAveragePooling2D()(backbone(x, training=False))
    return compiled(keras.Model(photo, keras.layers.Dense(2, activation="softmax")(x)), 1e-4 if not frozen else 1e-3)


def compiled(model: Any, learning_rate: float) -> Any:
    import keras

    model.compile(keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def decoded(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Decode all photos, in a fixed mixed order: uint8 [n, size, size, 3] and classes [n]."""
    from PIL import Image

    def pixels(file: Path) -> np.ndarray:
        with Image.open(file) as photo:
            return np.asarray(photo.convert("RGB").resize((SIZE, SIZE)))

    files = sorted(folder.glob("photos/*/*.jpg"), key=lambda file: file.name)
    with ThreadPoolExecutor() as pool:
        photos = np.stack(list(pool.map(pixels, files)))
    return photos, np.array([file.parent.name == "bright" for file in files], np.int32)


if __name__ == "__main__":
    main()
