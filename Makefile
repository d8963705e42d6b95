PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# TensorFlow's smaller build where there is a 64-bit Intel or AMD processor and no NVIDIA GPU
BACKEND := $(shell [ "$$(uname -sm)" = "Linux x86_64" ] && ! command -v nvidia-smi >/dev/null && echo tensorflow-cpu || echo tensorflow)

.PHONY: install demo test test-long test-backends lint clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(BACKEND),test]'
# KerasHub without tensorflow-text, which would put a second TensorFlow in the first one's place
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps keras-hub regex tokenizers
	touch $@

demo: install
	$(BIN)/unfreeze run demo

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

test: lint
	$(BIN)/python -m pytest -m "not slow" -n auto --maxprocesses 4 --dist worksteal

test-long: install
	$(BIN)/python -m pytest -m slow $(if $(SELECT),-k "$(SELECT)")

# JAX and PyTorch, each without any other backend
test-backends: install .venv-jax/installed .venv-torch/installed
	$(BIN)/python -m pytest -m slow tests/test_backends.py $(if $(SELECT),-k "$(SELECT)")

.venv-%/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	touch $@

clean:
	rm -rf $(VENV) .venv-* build dist src/*.egg-info
