"""An engine gives what Keras gives, in the same bits every time, and says when it has to take another way."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
from tests.networks import assert_close

from unfreeze.features import engine as engine_module
from unfreeze.features import onnx_export
from unfreeze.features.engine import GPU_BATCH, KERAS_BATCH, Choice, Engine, row_shape, unpack
from unfreeze.features.fingerprint import model_sha256
from unfreeze.models.classifier import feature_extractor

ROWS = np.random.default_rng(0).integers(0, 256, (7, 12, 12, 3)).astype(np.uint8)


def small_network(seed: int = 0, offset: float = 3.0, narrower: bool = False) -> keras.Model:
    """Build convolutions with a hard sigmoid, as MobileNetV3 has it: with numbers in the graph."""
    keras.utils.clear_session(free_memory=False)
    draw = keras.initializers.HeNormal(seed=seed)
    photo = keras.Input((12, 12, 3), name="photo")
    x = keras.layers.Rescaling(1 / 128, offset=-1, name="rescaling")(photo)
    x = keras.layers.Conv2D(8, 3, use_bias=False, kernel_initializer=draw, name="conv")(x)
    x = keras.layers.ReLU(6.0, name="relu6")(x + offset) * (1 / 6)
    x = keras.layers.DepthwiseConv2D(3, strides=2, depthwise_initializer=draw, name="depthwise")(x)
    return keras.Model(photo, keras.layers.Conv2D(2 if narrower else 4, 1, kernel_initializer=draw, name="out")(x))


def branching_network() -> tuple[keras.Model, keras.Model, keras.Model]:
    """Build a network whose frozen layers end in three tensors: before the cut, after it, and whole."""
    photo = keras.Input((12, 12, 3), name="photo")
    stem = keras.layers.Conv2D(5, 3, name="stem")(keras.layers.Rescaling(1 / 255, name="rescaling")(photo))
    left = keras.layers.Conv2D(5, 3, padding="same", name="left")(stem)
    gate = keras.layers.GlobalAveragePooling2D(name="gate")(stem)
    x = keras.layers.Multiply(name="gated")([left, keras.layers.Reshape((1, 1, 5), name="reshape")(gate)])
    x = keras.layers.Conv2D(3, 1, name="out")(keras.layers.Add(name="add")([x, stem]))
    cut = [gate, stem, left]
    return keras.Model(photo, cut), keras.Model(cut, x), keras.Model(photo, x)


def in_keras(model: keras.Model, rows: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(rows, training=False))


def prepared(model: keras.Model, folder: Path, rows: np.ndarray = ROWS) -> Engine:
    engine = Engine(model, folder)
    engine.prepare(rows)
    return engine


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file that a model was exported to."""
    files: list[Path] = []
    export = engine_module.export_onnx

    def noting(model: keras.Model, file: Path) -> None:
        files.append(file)
        export(model, file)

    monkeypatch.setattr(engine_module, "export_onnx", noting)
    return files


def test_pretrained_layers_give_what_keras_gives(stages, classifier, pixels):
    block14, pooled = stages
    rows = block14.run(pixels)
    assert rows.shape == (20, 2, 2, 192)
    assert rows.dtype == np.float32
    assert_close(rows, in_keras(block14.model, pixels), 1e-4)
    assert_close(pooled.run(rows), in_keras(feature_extractor(classifier), pixels), 1e-4)
    assert block14.choice.engine == f"onnxruntime-{onnxruntime.__version__}"
    assert block14.choice.rows_per_second > 0


def test_batches_and_threads_change_no_bit(stages, pixels):
    engine = stages[0]
    expected = engine.run(pixels).tobytes()
    choice = engine.choice
    try:
        for batch in (1, 3, 16, 20, 64):
            engine.choice = replace(choice, batch=batch)
            assert engine.run(pixels).tobytes() == expected
    finally:
        engine.choice = choice
    one_by_one = [engine.run(pixels[index : index + 1]) for index in range(len(pixels))]
    assert np.concatenate(one_by_one).tobytes() == expected
    with ThreadPoolExecutor(4) as threads:
        results = threads.map(engine.run, [pixels] * 12)
    assert {result.tobytes() for result in results} == {expected}


def test_rows_can_be_float16(stages, pixels):
    pooled = stages[1]
    rows = stages[0].run(pixels).astype(np.float16)
    np.testing.assert_array_equal(pooled.run(rows), pooled.run(rows.astype(np.float32)))


def test_a_model_is_exported_and_measured_once(tmp_path, exports, news, monkeypatch):
    engine = prepared(small_network(), tmp_path)
    engine.prepare(ROWS)
    assert len(exports) == 1
    monkeypatch.setattr(Engine, "_fastest", lambda *_: pytest.fail("measured again"))
    again = Engine(small_network(), tmp_path)
    assert again.choice == engine.choice
    again.prepare(ROWS)
    assert again.choice == engine.choice
    np.testing.assert_array_equal(again.run(ROWS), engine.run(ROWS))
    assert len(exports) == 1
    assert news == []
    recorded = json.loads((exports[0].parent / "choice.json").read_text())
    assert recorded == asdict(engine.choice)
    assert [file.name for file in sorted(exports[0].parent.iterdir())] == [
        "choice.json",
        "model.onnx",
        "model.onnx.sha256",
    ]


def test_exporting_is_silent(tmp_path, quick, capfd, caplog):
    prepared(small_network(), tmp_path)
    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""  # what is logged ends up on stderr where nobody collects it


def no_exporter(model: keras.Model, file: Path) -> None:
    raise ModuleNotFoundError("No module named\n'tf2onnx'")


def rubbish(model: keras.Model, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"no model")


def exporter_of(model: keras.Model) -> Callable[[keras.Model, Path], None]:
    """Give an exporter that writes another model than it was asked to."""
    export = engine_module.export_onnx
    in_keras(model, ROWS)
    return lambda _, file: export(model, file)


@pytest.mark.parametrize(
    ("exporter", "reason"),
    [
        (no_exporter, "ModuleNotFoundError: No module named 'tf2onnx'"),
        (rubbish, "InvalidProtobuf"),
        (small_network(seed=1), "its output differs from Keras's by "),
        (small_network(narrower=True), "ValueError: "),
    ],
    ids=["no exporter", "does not load", "other weights", "other shape"],
)
def test_keras_takes_over_and_that_is_said_once(exporter, reason, tmp_path, news, monkeypatch):
    replacement = exporter_of(exporter) if isinstance(exporter, keras.Model) else exporter
    monkeypatch.setattr(engine_module, "export_onnx", replacement)
    model = small_network()
    engine = prepared(model, tmp_path)
    assert len(news) == 1
    assert news[0].startswith(f"The frozen layers run in Keras, not in ONNX Runtime: {reason}")
    assert not engine.is_exported
    assert engine.choice.engine.startswith(f"keras-{keras.__version__}-{keras.backend.backend()}-")
    assert news[0].endswith(engine.choice.why)
    assert engine.choice.workers == 1
    assert_close(engine.run(ROWS), in_keras(model, ROWS), 1e-5)

    again = prepared(model, tmp_path)
    assert again.choice == engine.choice
    assert len(news) == 1
    np.testing.assert_array_equal(again.run(ROWS), engine.run(ROWS))


def test_what_takes_too_much_memory_is_not_exported_until_there_is_more(tmp_path, news, monkeypatch):
    monkeypatch.setattr(onnx_export, "available_bytes", lambda: 1000)
    assert not prepared(small_network(), tmp_path).is_exported
    assert re.search(r"MemoryError: exporting them takes about \d+ GB of memory, and 0 GB are available", news[0])
    monkeypatch.undo()
    assert prepared(small_network(), tmp_path).is_exported


def test_in_keras_too_batches_change_no_bit(classifier, pixels, tmp_path, monkeypatch):
    monkeypatch.setattr(engine_module, "on_gpu", lambda: True)
    engine = prepared(feature_extractor(classifier), tmp_path, pixels)
    many = np.concatenate([pixels, pixels])
    assert len(many) > KERAS_BATCH
    expected = engine.run(many)
    np.testing.assert_array_equal(expected[:20], expected[20:])
    assert_close(expected[:20], in_keras(engine.model, pixels), 1e-5)
    one_by_one = [engine.run(pixels[index : index + 1]) for index in range(5)]
    assert np.concatenate(one_by_one).tobytes() == expected[:5].tobytes()


GOOD = {"engine": f"onnxruntime-{onnxruntime.__version__}", "batch": 4, "workers": 1, "rows_per_second": 5.0}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "\xff",
        json.dumps({**GOOD, "batch": 0}),
        json.dumps({**GOOD, "batch": "many"}),
        json.dumps({"engine": GOOD["engine"]}),
        json.dumps({**GOOD, "engine": "onnxruntime-1.0.0"}),
        json.dumps({**GOOD, "engine": "keras-3.0.0-tensorflow-2.16.1-cpu", "why": "there was no exporter"}),
    ],
    ids=["empty", "cut", "list", "bytes", "no batch", "type", "missing", "other version", "other Keras"],
)
def test_a_record_that_is_damaged_or_of_other_software_is_made_again(content, tmp_path, quick):
    engine = Engine(small_network(), tmp_path)
    (folder := tmp_path / engine.sha256[:32]).mkdir()
    (folder / "choice.json").write_bytes(content.encode("latin-1"))
    engine = Engine(engine.model, tmp_path)
    assert engine.choice is None
    engine.prepare(ROWS)
    assert engine.choice.engine == GOOD["engine"]
    assert_close(engine.run(ROWS), in_keras(engine.model, ROWS))
    assert Engine(engine.model, tmp_path).choice == engine.choice


def test_the_record_of_a_good_choice_is_kept_but_for_threads(tmp_path, monkeypatch):
    engine = Engine(small_network(), tmp_path)
    (folder := tmp_path / engine.sha256[:32]).mkdir()
    (folder / "choice.json").write_text(json.dumps(GOOD))
    for threads in (1, 3):
        monkeypatch.setattr(engine_module, "thread_count", lambda threads=threads: threads)
        assert Engine(engine.model, tmp_path).choice == Choice(GOOD["engine"], 4, threads, 5.0)
    monkeypatch.setattr(engine_module, "on_gpu", lambda: True)
    assert Engine(engine.model, tmp_path).choice is None


@pytest.mark.parametrize("damage", ["cut short", "empty", "nonsense"])
def test_a_damaged_export_is_made_again(damage, tmp_path, exports, news, quick):
    engine = prepared(small_network(), tmp_path)
    whole = exports[0].read_bytes()
    exports[0].write_bytes({"cut short": whole[: len(whole) // 2], "empty": b"", "nonsense": b"nonsense"}[damage])
    again = prepared(engine.model, tmp_path)
    assert again.choice == engine.choice
    assert len(exports) == 2
    assert news == []
    np.testing.assert_array_equal(again.run(ROWS), engine.run(ROWS))


def test_an_export_of_other_weights_is_made_again(tmp_path, exports, news, quick):
    engine = prepared(small_network(), tmp_path)
    other = prepared(small_network(seed=1), tmp_path)
    exports[0].write_bytes(exports[1].read_bytes())
    again = prepared(engine.model, tmp_path)
    assert news == []
    np.testing.assert_array_equal(again.run(ROWS), engine.run(ROWS))
    assert np.abs(other.run(ROWS) - engine.run(ROWS)).max() > 0.01


@pytest.mark.parametrize("gpu", [False, True])
def test_several_tensors_lie_end_to_end(gpu, tmp_path, news, quick, monkeypatch):
    monkeypatch.setattr(engine_module, "on_gpu", lambda: gpu)
    before, after, whole = branching_network()
    first = prepared(before, tmp_path)
    rows = first.run(ROWS)
    assert rows.shape == (7, *row_shape(before)) == (7, 5 + 10 * 10 * 5 + 10 * 10 * 5)
    pieces = unpack(rows, after)
    for piece, tensor in zip(pieces, before(ROWS, training=False), strict=True):
        assert_close(piece, keras.ops.convert_to_numpy(tensor))
    second = prepared(after, tmp_path, rows)
    assert first.is_exported
    assert second.is_exported
    assert (first.choice.batch == GPU_BATCH) == gpu
    assert row_shape(after) == (10, 10, 3)
    assert_close(second.run(rows), in_keras(whole, ROWS))
    np.testing.assert_array_equal(second.run(rows[2:3]), second.run(rows)[2:3])
    assert news == []


def reloaded(model: keras.Model, tmp_path: Path) -> keras.Model:
    model.save(tmp_path / "model.keras")
    return keras.saving.load_model(tmp_path / "model.keras")


def test_a_model_has_the_same_name_saved_and_loaded(classifier, tmp_path):
    extractors = [feature_extractor(each) for each in (classifier, reloaded(classifier, tmp_path))]
    prefixes = [keras.Model(each.input, each.get_layer("block14_add").output) for each in extractors]
    for pair in (extractors, prefixes):
        assert model_sha256(pair[0]) == model_sha256(pair[1])
    assert model_sha256(reloaded(small_network(), tmp_path)) == model_sha256(small_network())


def test_a_model_has_the_same_name_built_again_and_in_another_process():
    names = {model_sha256(small_network()) for _ in range(2)}
    code = "from test_engine import *; print(model_sha256(small_network()))"
    places = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {places}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert {done.stdout.strip()} == names


def test_freezing_does_not_change_a_models_name():
    inner = small_network()
    photo = keras.Input((12, 12, 3))
    models = [inner, keras.Model(photo, inner(photo))]
    names = [model_sha256(model) for model in models]
    inner.trainable = False
    assert [model_sha256(model) for model in models] == names
    inner.trainable = True
    inner.get_layer("conv").trainable = False
    assert [model_sha256(model) for model in models] == names


def least_change(model: keras.Model) -> keras.Model:
    """Change one weight by its last bit."""
    weights = model.get_weights()
    weights[-2].flat[3] = np.nextafter(weights[-2].flat[3], np.float32(np.inf))
    model.set_weights(weights)
    return model


def arithmetic(make: Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]) -> keras.Model:
    """Build a model of two inputs whose last step is `make`."""
    keras.utils.clear_session(free_memory=False)
    inputs = [keras.Input((3,), name=name) for name in ("a", "b")]
    return keras.Model(inputs, make(*inputs))


def test_other_models_have_other_names():
    table = np.arange(2000, dtype=np.float32)
    other_table = np.where(table == 1000, 0, table)
    models = [
        small_network(),
        small_network(seed=1),
        least_change(small_network()),
        small_network(offset=2.0),
        small_network(narrower=True),
        arithmetic(lambda a, b: a - b),
        arithmetic(lambda a, b: b - a),
        arithmetic(lambda a, b: a + b),
        arithmetic(lambda a, b: a + b - 1),
        arithmetic(lambda a, b: 1 - (a + b)),
        arithmetic(lambda a, b: keras.ops.max(a, axis=1) + b),
        arithmetic(lambda a, b: keras.ops.max(a, axis=0) + b),
        arithmetic(lambda a, b: a[:, :1] + b),
        arithmetic(lambda a, b: a[:, 1:2] + b),
        arithmetic(lambda a, b: a + b + table[:3]),
        arithmetic(lambda a, b: a + b + table[1:4]),
        # The middle of long arrays doesn't show in their text
        arithmetic(lambda a, b: (a + b) @ np.stack([table] * 3)),
        arithmetic(lambda a, b: (a + b) @ np.stack([other_table] * 3)),
        arithmetic(lambda a, b: keras.layers.Activation("relu", name="act")(a) + b),
        arithmetic(lambda a, b: keras.layers.Activation("tanh", name="act")(a) + b),
        arithmetic(lambda a, b: keras.layers.Dot(1, name="dot")([a, b])),
    ]
    names = [model_sha256(model) for model in models]
    assert len(set(names)) == len(models)
