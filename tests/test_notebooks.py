"""The notebooks run, on few small photos by default and as they stand in the slow tests."""

import copy
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(file.stem for file in FOLDER.glob("*.ipynb"))
SMALL = ["epochs=1", "data.image_size=64", "data.batch_size=8", "backbone=efficientnet_lite0"]


def read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def run(notebook: Any, folder: Path, **parameters: object) -> Any:
    """Run a notebook in a folder with other values for what its cell of parameters sets."""
    notebook = copy.deepcopy(notebook)
    [place] = [i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", ())]
    changed = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(changed))
    client = NotebookClient(notebook, timeout=3600, kernel_name="python3", resources={"metadata": {"path": folder}})
    return client.execute()


def shown(notebook: Any) -> list[dict[str, Any]]:
    return [dict(each.data) for cell in notebook.cells for each in cell.get("outputs", ()) if "data" in each]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_kept_without_results_and_begins_with_the_installation(name):
    notebook = read(name)
    nbformat.validate(notebook)
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in codes)
    assert "%pip install" in codes[0].source
    for cell in codes[1:]:
        compile(cell.source, name, "exec")


@pytest.mark.slow
def test_practice(solar_cells, tmp_path):
    overrides = [*SMALL, "fraction=0.3"]
    results = shown(run(read("practice"), tmp_path, data=str(solar_cells), overrides=overrides))
    tables = [each["text/html"] for each in results if "text/html" in each]
    assert len(tables) == 2
    for name in ("practice_0", "practice_20", "practice_30"):
        assert all(f"<td>{name}</td>" in table for table in tables)
    assert sum("image/png" in each for each in results) == 4  # three pictures of curves, and photos with predictions


@pytest.mark.slow
def test_quickstart_small(solar_cells, tmp_path):
    results = shown(run(read("quickstart"), tmp_path, data=str(solar_cells), overrides=SMALL, weights=None))
    assert sum("image/png" in each for each in results) == 4
    assert sum("<table>" in each.get("text/html", "") for each in results) == 2


@pytest.mark.slow
def test_quickstart_in_full(tmp_path):
    results = shown(run(read("quickstart"), tmp_path, weights=None))  # ImageNet's weights would be downloaded
    [table] = [each["text/html"] for each in results if "<th>seconds</th>" in each.get("text/html", "")][:1]
    assert all(f"<td>model_{number}</td>" in table for number in range(5))


@pytest.mark.slow
def test_the_practice_in_full_on_the_photos_that_come_along(tmp_path):
    """Ten epochs each, on the solar cells, since a test downloads nothing."""
    results = run(read("practice"), tmp_path, data="elpv", overrides=["backbone=efficientnet_lite0"])
    said = "".join(each.text for cell in results.cells for each in cell.get("outputs", ()) if "text" in each)
    assert "practice_30 (fine-tuning: last 30 from practice_0, 10 epochs)" in said
