"""`unfreeze eject`: what it writes, and what it says."""

from tests.cli.conftest import refused


def test_json(call, recipe, solar_cells, tmp_path):
    script = tmp_path / "new" / "script.py"
    finished = call("eject", recipe, "--data", solar_cells, "--out", script, "--only", "model_2", "--json", "--quiet")
    assert (finished.code, finished.stderr) == (0, "")
    assert finished.json == {"out": str(script)}
    assert script.read_text(encoding="utf-8").startswith('"""small: 1 experiment in plain Keras.\n')


def test_text(call, recipe, solar_cells, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished = call("eject", recipe, "--data", solar_cells)
    assert finished.code == 0
    assert finished.stdout == "Written to small, to take away as a whole. Train with: python small/small.py\n"
    assert (tmp_path / "small" / "small.py").is_file()


def test_a_misspelt_layer(call, recipe, solar_cells, tmp_path):
    wrong = "experiments.model_3.unfreeze=blok15"
    message = refused(call("eject", recipe, "--data", solar_cells, "--out", tmp_path / "a.py", "--set", wrong))
    assert message.startswith("experiments.model_3: efficientnet_lite0 has no layer or block named 'blok15'.")
    assert not list(tmp_path.iterdir())
