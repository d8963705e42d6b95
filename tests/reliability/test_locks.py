"""Two at once: on the same OUT the second is told who is there; on one cache both get their rows."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from unfreeze.data import store as store_module
from unfreeze.data.store import RowStore
from unfreeze.errors import RunError

HOLD = """
import sys, time
from pathlib import Path
from unfreeze.series.lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def held(out: Path) -> AbstractContextManager[None]:
    from unfreeze.series.lock import held  # imports Keras, which the processes that fill a store do without

    return held(out)


def holder(out: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_the_second_is_told_who_holds_it_and_a_dead_holder_does_not_block(tmp_path):
    with holder(tmp_path / "out") as process:
        known = json.loads((tmp_path / "out" / ".holder.json").read_text())
        with pytest.raises(RunError) as error, held(tmp_path / "out"):
            pass
        assert f"in use by process {process.pid} on {known['host']} since {known['since']}. Wait" in str(error.value)
        process.send_signal(signal.SIGKILL)
    (tmp_path / "out" / ".0123abcd-model.keras").write_bytes(b"half of it")
    (tmp_path / "out" / ".gitignore").touch()
    with held(tmp_path / "out"):
        assert json.loads((tmp_path / "out" / ".holder.json").read_text())["process"] == os.getpid()
    assert {file.name for file in (tmp_path / "out").iterdir()} == {".lock", ".gitignore"}


def test_one_process_does_not_let_itself_in_twice(tmp_path):
    with held(tmp_path), pytest.raises(RunError, match=f"in use by process {os.getpid()} "), held(tmp_path):
        pass
    with held(tmp_path):
        pass


def _row(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (40, 40), dtype=np.uint8)


def _fill(folder: Path, numbers: range, failures: "multiprocessing.Queue[int]") -> None:
    """Add rows that are missing, again and again opening the store anew, and compare all that are there."""
    store_module.SHARD_BYTES = 7 * 1600
    wrong = 0
    for start in numbers[::20]:
        store = RowStore(folder, (40, 40), np.uint8)
        with store.writer() as writer:
            for number in range(start, start + 20):
                writer.add(str(number), _row(number))
        there = [number for number in range(400) if str(number) in store]
        rows = store.read([str(number) for number in there])
        wrong += sum(not np.array_equal(row, _row(number)) for number, row in zip(there, rows, strict=True))
    failures.put(wrong)


def test_processes_that_fill_one_store_at_once_corrupt_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    failures: multiprocessing.Queue[int] = context.Queue()
    shares = (range(260), range(140, 400), range(400))
    processes = [context.Process(target=_fill, args=(tmp_path, share, failures)) for share in shares]
    for process in processes:
        process.start()
    assert [failures.get(timeout=120) for _ in processes] == [0, 0, 0]
    for process in processes:
        process.join()
    store = RowStore(tmp_path, (40, 40), np.uint8)
    assert store.missing([str(number) for number in range(400)]) == []
