"""Frozen layers run ahead in a process of their own give the same rows, once, and its end costs nothing but time."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from unfreeze import backend
from unfreeze.ahead import process as process_module
from unfreeze.ahead.process import Ahead, paused, running_ahead
from unfreeze.config import Augmentation
from unfreeze.data.inputs import Pixels
from unfreeze.features.activations import Activations
from unfreeze.progress import say

TURNS = Augmentation(flip="horizontal", rotation=0.2, zoom=0.2)
VIEWS = 12
ALL = np.arange(20)
pytestmark = pytest.mark.skipif(not hasattr(os, "nice"), reason="Windows has no such priorities")


@pytest.fixture
def rows(store, photos, stages, tmp_path):
    """Give photos in 12 views as pooled features, cached in the test's own folder."""

    def make(cache=tmp_path / "ahead", views=VIEWS):
        return Activations(Pixels(store, photos, TURNS, 0, views), stages, [True, True], "float16", cache)

    return make


@pytest.fixture
def ahead(monkeypatch):
    monkeypatch.setattr(process_module, "WORTHWHILE", 1)
    monkeypatch.setattr(process_module, "PATIENCE", 60)
    code = "from unfreeze.ahead import worker; worker.LOWEST_PRIORITY = 0; worker.main()"  # other tests leave no time
    monkeypatch.setattr(process_module, "COMMAND", [sys.executable, "-c", code])
    with running_ahead() as running:
        yield running


@pytest.fixture(autouse=True)
def files_kept(stages):
    files = [engine.onnx.file for engine in stages]
    yield
    for engine, file in zip(stages, files, strict=True):
        engine.onnx.file = file


def begin(ahead: Ahead, *rows: Activations) -> None:
    ahead.give([filling for each in rows if (filling := each.ahead())])
    with paused():
        pass


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def stored(folder):
    return sum(np.load(file, mmap_mode="r").shape[0] for file in folder.glob("activations/*/[!.]*.npy"))


def test_rows_are_those_that_would_be_computed_here(rows, ahead, tmp_path, rows_run):
    begin(ahead, rows())
    wait_until(lambda: stored(tmp_path / "ahead") == 2 * 20 * VIEWS)
    del rows_run[:]
    there, here = rows().compute(), rows(tmp_path / "here").compute()
    assert sum(rows_run) == 2 * 20 * VIEWS  # of those here
    for view in range(VIEWS):
        np.testing.assert_array_equal(there.take(ALL, view), here.take(ALL, view))


def test_what_it_has_begun_is_finished_here_and_nothing_is_computed_twice(rows, ahead, tmp_path, rows_run):
    many = 100
    begin(ahead, rows(views=many))
    wait_until(lambda: any((tmp_path / "ahead").rglob(".*.npy")))
    del rows_run[:]
    rows(views=many).compute()
    assert 0 < sum(rows_run) < 2 * 20 * many
    assert stored(tmp_path / "ahead") == 2 * 20 * many


def test_it_goes_on_with_the_next_after_a_pause(rows, ahead, tmp_path):
    begin(ahead, rows(views=2), rows())
    rows(views=2).compute()
    wait_until(lambda: stored(tmp_path / "ahead") == 2 * 20 * VIEWS)


def test_little_work_starts_no_process(rows):
    with running_ahead() as running:
        begin(running, rows())
        assert running._process is None


def test_a_limit_on_threads_holds_for_all(rows, ahead, monkeypatch):
    monkeypatch.setattr(backend, "_threads", 1)
    begin(ahead, rows())
    assert ahead._process is None


def test_what_is_there_is_not_given(rows, ahead):
    rows().compute()
    assert rows().ahead() is None


def test_without_it_work_goes_on(rows, ahead, tmp_path, news):
    begin(ahead, rows())
    ahead._process.send_signal(signal.SIGKILL)
    assert len(rows().compute().take(ALL)) == 20
    assert [line for line in news if "ahead" in line] == ["Frozen layers don't run ahead: its process ended"]
    with paused():
        say("still there")
    assert news[-1] == "still there"


def test_it_is_given_up_where_it_gets_no_time(rows, ahead, news, monkeypatch):
    begin(ahead, rows())
    process = ahead._process
    process.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(process_module, "PATIENCE", 0.2)
    assert len(rows().compute().take(ALL)) == 20
    assert "Frozen layers don't run ahead: the processor has no time left" in news
    assert process.returncode == -signal.SIGKILL


def test_where_no_process_can_be_started_work_goes_on(rows, ahead, news, monkeypatch):
    monkeypatch.setattr(process_module, "COMMAND", ["/there/is/no/such/python"])
    begin(ahead, rows())
    assert news[-1].startswith("Frozen layers don't run ahead: ")
    assert len(rows().compute().take(ALL)) == 20


def test_it_tells_what_went_wrong(rows, ahead, tmp_path, news):
    filling = rows().ahead()
    for layers in filling.stages:
        layers.file = tmp_path / "gone.onnx"
    ahead.give([filling])
    with paused():
        pass
    assert len(rows().compute().take(ALL)) == 20
    [line] = [line for line in news if "ahead" in line]
    assert line.startswith("Frozen layers don't run ahead")
    assert "gone.onnx" in line


def test_it_ends_with_the_process_that_started_it(tmp_path):
    code = (
        "import time; from unfreeze.ahead import process; process.WORTHWHILE = 0\n"
        "with process.running_ahead() as ahead:\n"
        "    ahead.give([]); print(ahead._process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        time.sleep(1)
        parent.kill()
    wait_until(lambda: not is_alive(child))


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
