# Every target stands on `install`; it does nothing when nothing changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ONLY ?=
JSON ?=
# Real data for the longer proofs, when it lies beside the checkout; otherwise it is downloaded.
ifneq ($(wildcard ../shared/data),)
export SPARRING_DATA ?= $(abspath ../shared/data)
endif

.PHONY: install demo test check format slow bench results docs clean help

help:
	@echo "make demo     train a GAN on digits, at most 3 minutes on 2 cores"
	@echo "make test     run the tests"
	@echo "make check    lint and types"
	@echo "make slow     the longer proofs"
	@echo "make bench    speed beside a plain PyTorch loop  (ONLY=\"dcgan gan\"  JSON=file)"
	@echo "make results  compute rows of RESULTS.md         (ONLY=\"name ...\")"

install: $(VENV)/.installed

# torch first and at its exact version: a bare `torch` may pull gigabytes of CUDA onto a machine without a GPU.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: install
	$(BIN)/sparring train dcgan --preset demo

test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

slow: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m slow --timeout 3600

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(if $(JSON),--json $(JSON))

results: install
	$(BIN)/python -m results $(ONLY)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
