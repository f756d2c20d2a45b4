# setup      create .venv with pinned packages (repeated only when the pins change)
# demo       resynthesise four shipped recordings and compare with Griffin-Lim
# test       lint, types, layers, all tests
# test-fast  fast tests: no training, processes, large networks, browser
# fuzz       hostile files, recipes and answers: TRIES=10000 of them
# report     a listening page of this model beside WORLD, Griffin-Lim and Opus
# bench      speed and memory
# dist       wheels and source archives of vocoder and vocoder-runtime in dist/
# clean      remove generated files and .venv; keep data/ and runs/

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
# The pins are for 3.11; other versions are tried if it is missing.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,\
	$(shell command -v $(name))))

TRIES ?= 10000

.PHONY: setup demo test test-fast lint fuzz report bench dist clean constraints check-system

setup: $(STAMP)

demo: $(STAMP)
	$(BIN)/vocoder demo

test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadgroup

test-fast: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -q -m "not slow and not browser"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --seeds --tries $(TRIES)

report: $(STAMP)
	egs/report/run.sh

bench: $(STAMP)
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[bench]"
	$(BIN)/vocoder bench
	$(BIN)/python -m bench.loading
	$(BIN)/python -m bench.baselines
	$(BIN)/python bench/peers.py
	$(BIN)/python bench/memory.py
	$(BIN)/python -m bench.dsp --write docs/dsp.md
	$(BIN)/python bench/iir.py
	$(BIN)/python bench/fir.py
	$(BIN)/python bench/runtime.py

dist: $(STAMP)
	rm -rf dist
	$(BIN)/python -m hatchling build --directory dist
	cd runtime && ../$(BIN)/python -m hatchling build --directory ../dist

clean:
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './data/*' -not -path './runs/*' -prune -exec rm -rf {} +

$(STAMP): pyproject.toml runtime/pyproject.toml constraints.txt
	@$(MAKE) --no-print-directory check-system
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e runtime -e '.[dev]'
	@touch $(STAMP)

# One line per missing requirement; ffmpeg and Chromium are optional.
check-system:
	@missing=0; say() { echo "missing: $$1"; missing=1; }; \
	python="$(PYTHON)"; \
	if [ -z "$$python" ] || ! "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		say "Python 3.11 or newer (apt-get install python3; or make PYTHON=/path/to/python)"; \
	else \
		"$$python" -c 'import ensurepip, venv' 2>/dev/null || \
			say "Python's venv (apt-get install python3-venv)"; \
		"$$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || \
			say "Python's C headers, for pesq (apt-get install python3-dev)"; \
	fi; \
	command -v cc >/dev/null || command -v gcc >/dev/null || \
		say "a C compiler, for pesq (apt-get install build-essential)"; \
	command -v ffmpeg >/dev/null || \
		echo "note: no ffmpeg; 'vocoder prepare asterisk' and codecs need it (apt-get install ffmpeg)"; \
	command -v chromium >/dev/null || \
		echo "note: no Chromium; only the tests of pages need it (apt-get install chromium)"; \
	exit $$missing

# Pin the installed packages, without local versions and paths.
constraints:
	$(BIN)/pip freeze --all --exclude-editable | grep -v '^pip==' | sed 's/+[a-z0-9.]*$$//' \
		> constraints.txt
