# make report   execute report.ipynb from scratch, write report.pdf and report.html
# make test     run all tests
# make figures  run the three experiments in the terminal
# make lab      open the notebook in JupyterLab
# make refresh  execute report.ipynb, store its outputs in it and its PDF in docs
# make study    repeat the experiments with many seeds, write tools/study/evidence
# make bench    compare the speed with the frameworks, write benchmarks/results.md
# make lint     check style, formatting and types
# make clean    remove everything that the other targets create, except .venv
.PHONY: report test figures lab refresh study bench lint clean
.DEFAULT_GOAL := report

PYTHON ?= python3
BIN := .venv/bin

# uv is much faster than pip; if it fails, pip installs.
UV := uv==0.13.9
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
INSTALL = $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python

.venv/.installed: requirements.txt
	$(PYTHON) -m venv .venv
	($(PIP) $(UV) && $(INSTALL) -r $<) || $(PIP) -r $<
	touch $@

.venv/.installed-dev: .venv/.installed requirements-dev.txt
	$(INSTALL) -r requirements-dev.txt || $(PIP) -r requirements-dev.txt
	touch $@

.venv-bench/.installed: requirements.txt requirements-bench.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check \
	    -r requirements.txt -r requirements-bench.txt
	touch $@

report: .venv/.installed
	$(BIN)/python -m tools.report

test: .venv/.installed
	$(BIN)/python -m pytest -n auto --dist worksteal

figures: .venv/.installed
	$(BIN)/python task2.py
	$(BIN)/python task3.py
	$(BIN)/python task4.py

lab: .venv/.installed
	$(BIN)/python -m jupyterlab report.ipynb

refresh: .venv/.installed
	$(BIN)/python -m tools.report --refresh
	$(BIN)/python -m nbconvert --to tools.report.TypstPDFExporter --output-dir docs report.ipynb

study: .venv/.installed
	$(BIN)/python -m tools.study

bench: .venv-bench/.installed
	.venv-bench/bin/python -m benchmarks.bench

lint: .venv/.installed-dev
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy

clean:
	rm -rf figures weights report.pdf report.html .study_cache
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
