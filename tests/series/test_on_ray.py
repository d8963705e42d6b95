"""`--on`: a series on Ray gives what it gives here, even when a node dies in the middle."""

import importlib.util
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from tests.ports import free_port, wait_for

import unfreeze
from unfreeze.backend import thread_count
from unfreeze.errors import RunError

RECIPE = {
    "name": "spread",
    "data": {"image_size": 64, "batch_size": 8},
    "epochs": 2,
    "augment": {"flip": "horizontal", "views": 2},
    "experiments": {"frozen": {}, "tuned": {"from": "frozen", "unfreeze": 10}},
}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "spread.yaml").write_text(yaml.safe_dump(RECIPE))
    return tmp_path / "spread.yaml"


def test_without_ray_it_is_said_what_to_install(recipe, solar_cells, tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "ray" else found(name))
    with pytest.raises(RunError, match=r"needs Ray, which is not installed: pip install 'unfreeze\[ray\]'"):
        unfreeze.run(recipe, data=solar_cells, out=tmp_path / "out", on="ray")


def test_an_address_where_nobody_answers(recipe, solar_cells, tmp_path):
    port = free_port()
    with pytest.raises(RunError, match=f"--on 127.0.0.1:{port}"):
        unfreeze.run(recipe, data=solar_cells, out=tmp_path / "out", on=f"127.0.0.1:{port}")


@pytest.mark.slow
def test_three_nodes_of_which_one_dies(recipe, solar_cells, tmp_path, monkeypatch):
    """Two nodes train a seed each, so whichever dies was training."""
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    unfreeze.run(recipe, data=solar_cells, out=tmp_path / "here", seeds=2)
    monkeypatch.setenv("UNFREEZE_CACHE", str(tmp_path / "cache"))
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    out, killed_in_training = tmp_path / "there", []
    runs = [out / "experiments" / "frozen" / f"seed-{seed}" for seed in (0, 1)]
    try:
        nodes = [cluster.add_node(num_cpus=thread_count()) for _ in range(2)]

        def kill() -> None:
            while not all((run / "config.yaml").exists() for run in runs):
                time.sleep(0.05)
            cluster.remove_node(nodes[0], allow_graceful=False)
            killed_in_training.append(any(not (run / "metrics.json").exists() for run in runs))

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        unfreeze.run(recipe, data=solar_cells, out=out, seeds=2, on=cluster.address)
        killer.join(timeout=10)
        assert killed_in_training == [True]
    finally:
        cluster.shutdown()
    assert_same(tmp_path / "here", out, seeds=(0, 1))


@pytest.mark.slow
def test_a_cluster_that_this_machine_is_no_part_of(recipe, solar_cells, tmp_path, monkeypatch):
    pytest.importorskip("ray")
    unfreeze.run(recipe, data=solar_cells, out=tmp_path / "here")
    monkeypatch.setenv("UNFREEZE_CACHE", str(tmp_path / "cache"))
    port = free_port()
    start = [Path(sys.executable).parent / "ray", "start", "--head", "--block", f"--port={free_port()}"]
    ports = [f"--ray-client-server-port={port}", f"--num-cpus={thread_count()}", "--include-dashboard=false"]
    cluster = subprocess.Popen([*start, *ports], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        unfreeze.run(recipe, data=solar_cells, out=tmp_path / "there", on=f"ray://127.0.0.1:{port}")
    finally:
        cluster.terminate()
        cluster.wait(60)
    assert_same(tmp_path / "here", tmp_path / "there", seeds=(0,))


def assert_same(here: Path, there: Path, seeds: tuple[int, ...]) -> None:
    for run in (Path("experiments", name, f"seed-{seed}") for name in ("frozen", "tuned") for seed in seeds):
        for file in ("predictions.csv", "history.csv", "config.yaml"):
            assert (here / run / file).read_bytes() == (there / run / file).read_bytes()
        weights = [json.loads((out / run / "lineage.json").read_text())["weights_sha256"] for out in (here, there)]
        assert weights[0] == weights[1]
    assert len((there / "test_reads.jsonl").read_text().splitlines()) == 1
