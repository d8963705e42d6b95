"""Event files, read back with TensorBoard's own reader."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2

from unfreeze.training.tensorboard import TensorBoardEvents, write_hparams

ROWS = [
    {"epoch": 1, "loss": 0.9, "accuracy": 0.5, "val_loss": 1.1, "val_accuracy": 0.25, "learning_rate": 0.001},
    {"epoch": 2, "loss": 0.7, "accuracy": 0.75, "val_loss": 0.8, "val_accuracy": 0.5, "learning_rate": 0.0001},
]


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Read a folder's curves: tag -> (step, value) of each point."""
    events = EventAccumulator(str(folder)).Reload()
    return {tag: [(each.step, each.value) for each in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def write(folder: Path, rows: list[dict[str, float]], epochs_before: int = 0) -> None:
    history: list[dict[str, float]] = []
    events = TensorBoardEvents(folder, history, epochs_before)
    for number, row in enumerate(rows):
        history.append(row)
        events.on_epoch_end(number)
    events.close()


def curve(column: str, first: int = 1) -> list[tuple[int, float]]:
    return [(first + number, pytest.approx(row[column], rel=1e-6)) for number, row in enumerate(ROWS)]


def test_curves_are_the_history(tmp_path):
    write(tmp_path, ROWS)
    assert scalars(tmp_path / "train") == {
        "epoch_loss": curve("loss"),
        "epoch_accuracy": curve("accuracy"),
        "epoch_learning_rate": curve("learning_rate"),
    }
    assert scalars(tmp_path / "validation") == {
        "epoch_loss": curve("val_loss"),
        "epoch_accuracy": curve("val_accuracy"),
    }


def test_a_childs_curves_go_on_where_its_parents_end(tmp_path):
    write(tmp_path, ROWS, epochs_before=5)
    assert scalars(tmp_path / "train")["epoch_loss"] == curve("loss", first=6)


def test_a_second_run_replaces_the_first(tmp_path):
    write(tmp_path, ROWS)
    write(tmp_path, ROWS[:1])
    assert scalars(tmp_path / "train")["epoch_loss"] == curve("loss")[:1]


def test_without_validation_there_is_no_curve_of_it(tmp_path):
    write(tmp_path, [{key: row[key] for key in ("epoch", "loss", "accuracy", "learning_rate")} for row in ROWS])
    assert scalars(tmp_path / "validation") == {}
    assert scalars(tmp_path / "train")["epoch_accuracy"] == curve("accuracy")


def test_hparams_are_settings_beside_test_figures(tmp_path):
    write(tmp_path, ROWS)
    settings = {"name": "model_3", "unfreeze": "10", "fraction": 0.1, "augment": True, "epochs": 5}
    write_hparams(tmp_path, settings, {"test_accuracy": 0.5, "test_loss": 2.0})
    write_hparams(tmp_path, settings, {"test_accuracy": 0.85, "test_loss": 0.4})

    events = EventAccumulator(str(tmp_path)).Reload()
    started = plugin_data(events, "_hparams_/session_start_info").session_start_info
    found = {name: getattr(value, value.WhichOneof("kind")) for name, value in started.hparams.items()}
    assert found == settings
    declared = plugin_data(events, "_hparams_/experiment").experiment
    assert {each.name.tag for each in declared.metric_infos} == {"test_accuracy", "test_loss"}
    assert {each.name for each in declared.hparam_infos} == set(settings)
    assert plugin_data(events, "_hparams_/session_end_info").session_end_info.status == api_pb2.STATUS_SUCCESS
    assert scalars(tmp_path) == {
        "test_accuracy": [(0, pytest.approx(0.85))],
        "test_loss": [(0, pytest.approx(0.4))],
    }
    assert scalars(tmp_path / "train")["epoch_loss"] == curve("loss")


def plugin_data(events: EventAccumulator, tag: str) -> plugin_data_pb2.HParamsPluginData:
    content = events.summary_metadata[tag].plugin_data.content
    return plugin_data_pb2.HParamsPluginData.FromString(content)
