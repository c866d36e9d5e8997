# make setup | run | test | test-slow | check | browser | clients | report-docs | clean    PYTHON=python3.12 make setup  picks another interpreter
PYTHON ?= python3
BIN := .venv/bin
# Passed to pytest, as in `make test TESTS="tests/bpe -x"`; of what it names, `test-slow` runs the slow ones.
TESTS ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: setup run test test-slow check browser clients report-docs clean

setup: .venv/.installed

# torch goes first and alone: pip then takes a build that lies on the machine and never weighs others.
.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "ekle needs Python 3.11, 3.12 or 3.13; name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	@echo "Installing ekle into .venv; the first time takes some minutes."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --progress-bar off -c constraints.txt torch
	@$(BIN)/python -m pip install -qq --progress-bar off -c constraints.txt -e ".[dev]"
	@touch $@

run: setup
	@$(BIN)/ekle run recipes/quickstart.toml

# One thread per test process: torch would otherwise start as many threads as cores in each of them.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 4 --dist loadgroup

# All but the slow tests. A change is done when test-slow passes, too.
test: setup
	$(PYTEST) -m "not slow" $(TESTS)

test-slow: setup
	$(PYTEST) -m slow $(TESTS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The tests that look at the pages open them in Chromium; they are skipped, saying so, where there is none.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
		{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get -qq -o Acquire::http::Timeout=20 update && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu >/dev/null; } || \
		echo "Chromium is not here and cannot be installed; nobody will look at the pages." >&2

# Programs that load what ekle writes, in versions that ekle itself does not run on: an environment for each list
# in tests/clients, with the torch of .venv. The tests of those that are not here are skipped, saying so.
CLIENTS := $(patsubst tests/clients/%.txt,.clients/%/.installed,$(wildcard tests/clients/*.txt))
PURELIB := 'import sysconfig; print(sysconfig.get_path("purelib"))'

clients: setup $(CLIENTS)

.clients/%/.installed: tests/clients/%.txt
	@$(BIN)/python -m venv --clear .clients/$*
	@.clients/$*/bin/python -m pip install -qq --progress-bar off -r $<
	@$(BIN)/python -c $(PURELIB) > "$$(.clients/$*/bin/python -c $(PURELIB))/zz-of-ekle.pth"
	@touch $@

# What the keys of report.json mean, for people and for machines; a test holds both files to the code.
report-docs: setup
	@$(BIN)/python -m ekle.artifacts.evaluation_report docs

clean:
	rm -rf .venv .clients build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find src -name '*.egg-info' -type d -prune -exec rm -rf {} +
