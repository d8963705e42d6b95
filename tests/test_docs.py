"""The examples of the documentation run, as they stand there."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ["recipes", "data", "splits", "backbones", "freezing", "caching", "checkpoints", "results"]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / f"{page}.md").read_text(encoding="utf-8"), re.S | re.M)


@pytest.fixture(scope="module")
def folder(solar_cells: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the photos and the recipe that the pages speak of, where they are run one after the other."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "my_photos").symlink_to(solar_cells)
    [recipe] = blocks("recipes", "yaml")
    (folder / "my_recipe.yaml").write_text(recipe, encoding="utf-8")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_example_runs(page, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    [example] = blocks(page, "python")
    exec(compile(example, f"docs/{page}.md", "exec"), {})
    assert capsys.readouterr().out.strip()
