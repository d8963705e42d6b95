"""Imports point downwards only, the layers that read results need no Keras, and importing is instant."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import unfreeze

LAYERS = ("cli", "series", "inference", "report", "evaluation", "training", "features", "models", "ahead", "data")
GROUND = (
    "backend",
    "config",
    "devices",
    "errors",
    "extras",
    "files",
    "free_memory",
    "limits",
    "onnx_session",
    "progress",
    "remote_progress",
    "seals",
    "text",
)
KNOW_THE_BACKEND = (
    "backend.py",
    "environment.py",
    "devices.py",  # how JAX lays batches out
    "gpu.py",  # a GPU's name
    "compiled.py",
    "onnx_from_tensorflow.py",  # its way to ONNX
    "batches.py",  # a dataset in TensorFlow's form
)
WITHOUT_KERAS = ("report", "evaluation", "ahead", "data", "cli")
PACKAGE = Path(unfreeze.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(file: Path) -> set[str]:
    """Every module that a file imports, wherever in it the import stands."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def layer(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_imports_point_downwards(file):
    place = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if place == "__init__":
        return  # the package's face names them all, lazily
    for module in imports(file):
        if not module.startswith("unfreeze.") or layer(module) == "__version__":
            continue
        target = layer(module)
        if place in GROUND:
            assert target in GROUND, (
                f"{file.name} is ground floor, so it may not import {module}: pass in what it needs as an argument"
            )
        elif target in LAYERS:
            assert LAYERS.index(target) >= LAYERS.index(place), (
                f"{place}/{file.name} imports {module}, which lies above it in {LAYERS}: "
                f"move the code down, or pass its result in as an argument"
            )


@pytest.mark.parametrize(
    "file",
    [file for file in MODULES if file.relative_to(PACKAGE).parts[0] in WITHOUT_KERAS],
    ids=lambda file: file.name,
)
def test_results_are_read_without_keras(file):
    assert not any(module.split(".")[0] in ("keras", "tensorflow", "jax", "torch") for module in imports(file))


def test_only_keras_knows_the_backend():
    for file in MODULES:
        # the last six: a GPU's name, what compiles, and of TensorFlow its way to ONNX, dataset, normalization and Adam
        if file.name not in (
            "backend.py",
            "environment.py",
            "devices.py",
            "gpu.py",
            "compiled.py",
            "onnx_from_tensorflow.py",
            "batches.py",
            "faster_layers.py",
            "adam.py",
        ):
            assert not any(module.split(".")[0] in ("tensorflow", "jax", "torch") for module in imports(file)), file


def test_importing_is_instant():
    slow = ["numpy", "keras", "tensorflow", "pydantic", "rich", "matplotlib", "sklearn", "scipy", "cv2"]
    code = f"import sys, unfreeze.cli.verbs; print([name for name in {slow} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
