# Darkroom: `make help` lists what there is. Every target does its own set-up; it needs
# Python 3.11 to 3.13, git and make; `image` needs Docker.
.DEFAULT_GOAL := help
# The first python that fits; another one: make run PYTHON=/opt/python3.12/bin/python3
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(firstword $(shell for one in python3 python3.13 python3.12 python3.11; do \
	$$one -c '$(FITS)' >/dev/null 2>&1 && echo $$one; done; true) python3)
PORT ?= 5000
# The environment's programs come first, so that `dvc` and the stages that it starts use it.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export DVC_NO_ANALYTICS := 1
COMPILE := uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate \
	--custom-compile-command "make lock"

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | \
		awk -F '\t' '{printf "  make %-8s %s\n", $$1, $$2}'

.PHONY: setup
setup: .venv/run.stamp ## install what the pipeline needs into .venv

# What is missing is said at once, not after the set-up.
$(if $(filter init,$(MAKECMDGOALS)),$(if $(SOURCE),,\
	$(error which photos? a folder, an archive or an address: make init SOURCE=~/photos)))
.PHONY: init
init: .venv/run.stamp ## look at your photos, write settings that fit: make init SOURCE=~/photos MINUTES=30
	@python -m components.init '$(subst ','\'',$(SOURCE))' $(if $(MINUTES),--minutes $(MINUTES))

.PHONY: run
run: git-is-here .venv/run.stamp ## the main job: images → validated data, model, report, registered version
	@python -m components.init upgrade --stages dvc.yaml
	@dvc repro
	@python -m components.promote.summary reports/verdict.json

.PHONY: git-is-here
git-is-here:
	@said=$$(LC_ALL=C git rev-parse --git-dir 2>&1) || { case "$$said" in \
	*"not a git repository"*) said="here is none: git init, then make run" ;; \
	*"not found"*) said="git itself is missing: install it" ;; \
	esac; echo "error: DVC keeps its books in a git repository: $$said" >&2; exit 1; }

.PHONY: ui
ui: .venv/run.stamp ## serve the MLflow page on http://127.0.0.1:5000; another port: make ui PORT=5001
	@case "$(MLFLOW_TRACKING_URI)" in \
	http*) echo "MLflow is at $(MLFLOW_TRACKING_URI)" ;; \
	*) echo "MLflow on http://127.0.0.1:$(PORT) (Ctrl-C stops it)"; \
		mlflow ui --backend-store-uri "$(or $(MLFLOW_TRACKING_URI),sqlite:///mlflow.db)" --port $(PORT) ;; \
	esac

# The image is the project's code and its locked packages; TARGET=gpu adds
# TensorFlow's CUDA libraries, TARGET=jax those of JAX.
TARGET ?= cpu
IMAGE ?= darkroom:$(patsubst cpu,latest,$(TARGET))
.PHONY: image
image: ## build the container image of the rooms; with CUDA: make image TARGET=gpu (or jax)
	$(if $(filter cpu gpu jax,$(TARGET)),,$(error TARGET is cpu, gpu or jax, not "$(TARGET)"))
	@docker build --tag $(IMAGE) --build-arg LOCK=$(patsubst cpu,image,$(TARGET)) \
		$(if $(BASE),--build-arg BASE=$(BASE)) \
		--build-arg COMMIT=$(or $(shell git rev-parse HEAD 2>/dev/null),unknown) \
		--build-arg VERSION=$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) .
	@docker run --rm --network none $(IMAGE) cat /opt/darkroom/sbom.json > darkroom-$(TARGET).cdx.json
	@docker image inspect $(IMAGE) --format '$(IMAGE) {{.Id}} {{.Size}} bytes; what is in it: darkroom-$(TARGET).cdx.json'

.PHONY: test
# Without what needs Docker or takes long, which .ci/run runs as well: make test ARGS="-m 'docker or slow'".
# Four files of tests at a time on two cores: much of a test is waiting (servers, disks, one core).
# Each with one thread for its small matrices: threads of four processes only wait for one another.
test: export OPENBLAS_NUM_THREADS := 1
test: export OMP_NUM_THREADS := 1
test: .venv/dev.stamp ## the tests, without the slow ones; some: make test ARGS="tests/train -x"
	pytest --no-loadscope-reorder $(if $(ARGS),$(ARGS),-m "not docker and not slow" --numprocesses 4 --dist loadfile)

# What is started; the other modules there are what these are made of.
BENCHMARKS = $(patsubst benchmarks/%.py,%,$(shell grep -l __main__ benchmarks/[a-z]*.py))
$(if $(filter bench,$(MAKECMDGOALS)),$(if $(filter-out $(BENCHMARKS),$(BENCH)),\
	$(error no benchmark $(BENCH); make bench lists them)))
.PHONY: bench
bench: .venv/dev.stamp ## a benchmark: make bench BENCH=preprocess ARGS="--rows 100000"; without BENCH, what there is
	@$(if $(BENCH),python benchmarks/$(BENCH).py $(ARGS),grep -m1 -H '"""' $(BENCHMARKS:%=benchmarks/%.py) | sed -E 's/^benchmarks.(.*)\.py:"""/  \1	/; s/"""$$//')

SEED ?= 0
COUNT ?= 1
.PHONY: faults
faults: .venv/dev.stamp ## kills, full disks and more in every room: make faults SEED=3 COUNT=2 ARGS="--only train:SIGKILL"
	@python -m tests.faults --seed $(SEED) --count $(COUNT) $(ARGS)

.PHONY: lint
lint: .venv/dev.stamp ## style, types, and who may import whom
	ruff check .
	ruff format --check .
	mypy
	lint-imports

# Advisories come with the package index: where it has none, pip-audit says so, and so does the script.
.PHONY: audit
audit: .tools/stamp .venv/run.stamp ## known weaknesses, licences and secrets: what the project is made of, and holds
	@sh requirements/audit.sh

.PHONY: fuzz
fuzz: .venv/dev.stamp ## give every parser what it may not expect: make fuzz MINUTES=60 ARGS="--only archive"
	@python -m tests.fuzz --minutes $(or $(MINUTES),10) --seed $(SEED) $(ARGS)

.PHONY: format
format: .venv/dev.stamp ## put the code into the project's form
	ruff check --fix .
	ruff format .

# The extras in each lock that takes its versions from dev.lock, so that what runs is what is tested.
EXTRAS_run :=
EXTRAS_image := servers
EXTRAS_gpu := gpu servers
EXTRAS_jax := jax-gpu servers
.PHONY: lock
lock: .venv/uv.stamp ## resolve pyproject.toml into requirements/*.lock; versions that still fit stay
	$(COMPILE) requirements/uv.in -o requirements/uv.lock
	$(COMPILE) requirements/tools.in -o requirements/tools.lock
	$(COMPILE) pyproject.toml --extra dev -o requirements/dev.lock
	$(foreach lock,run image gpu jax,$(COMPILE) pyproject.toml $(EXTRAS_$(lock):%=--extra %) \
		--constraint requirements/dev.lock -o requirements/$(lock).lock &&) true

.PHONY: release
release: ## version, changelog, commit and tag of a release: make release VERSION=0.2.0
	@"$(PYTHON)" .ci/release.py $(VERSION)

.PHONY: clean
clean: ## remove the environment and what the tools cached; data, models and runs stay
	rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# An environment dies with the Python that it was made of; and where its folder was moved, its
# programs call a Python that is no more. One whose set-up was killed looks whole to uv and pip: a
# package of which a part is there counts as installed. So the process that installs stands in
# UNFINISHED until it has ended well. A dead environment is made anew: `broken` says why, and its
# stamp is old; import uv asks whether its packages are those of its Python. What somebody else made
# in .venv is gone on with.
UNFINISHED := .venv/unfinished
broken := $(shell test -f $(UNFINISHED) && { pid=$$(cat $(UNFINISHED)); \
	kill -0 "$$pid" 2>/dev/null && \
	test "$$(readlink "/proc/$$pid/cwd" || test -e /proc/self || pwd -P)" = "$$(pwd -P)" || \
	echo "the set-up of .venv was interrupted"; })
broken := $(or $(broken),$(if $(wildcard .venv/uv.stamp),$(shell \
	.venv/bin/python -c 'import uv' 2>/dev/null && \
	made=$$(sed -n 's/^command = .* -m venv \(--clear \)*//p' .venv/pyvenv.cfg) && \
	test -z "$$made" -o -d "$$made" || \
	echo "the environment in .venv calls a Python that is not there")))
ifneq ($(broken),)
.PHONY: .venv/uv.stamp
endif
BEGIN = { mkdir -p .venv && echo $$$$ > $(UNFINISHED); }
END = rm -f $(UNFINISHED)

# A home that is read-only, or none at all, holds no cache.
INSTALL = uv pip install $(shell cache="$${UV_CACHE_DIR:-$${XDG_CACHE_HOME:-$$HOME/.cache}/uv}"; \
	mkdir -p "$$cache" 2>/dev/null && test -w "$$cache" || echo --no-cache) --quiet --require-hashes

.venv/uv.stamp: requirements/uv.lock
	@"$(PYTHON)" -c '$(FITS)' 2>/dev/null || { echo "error: Darkroom needs Python 3.11 to 3.13, and $(PYTHON) is \
	another, or none; install one, or say where it is: make PYTHON=/usr/bin/python3.12" >&2; exit 1; }
	$(if $(broken),@echo "$(broken): it is made anew")
	$(if $(broken),@touch $(UNFINISHED) && find .venv -mindepth 1 ! -path $(UNFINISHED) -delete)
	@test ! -f .venv || { echo "error: .venv is a file, and the environment goes there: move it away" >&2; exit 1; }
	@test ! -L .venv/bin/python -a ! -e .venv/bin/python || .venv/bin/python -c '$(FITS)' 2>/dev/null || { \
	echo "error: .venv is of a Python that is gone, or none of 3.11 to 3.13; make clean removes it" >&2; exit 1; }
	@echo "setting up .venv with $(PYTHON)"
	@{ test -d .venv -a ! -f $(UNFINISHED) || $(BEGIN); } && "$(PYTHON)" -m venv .venv && \
		.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements/uv.lock && $(END)
	@touch $@

.venv/run.stamp: requirements/run.lock .venv/uv.stamp
	@echo "installing what requirements/run.lock names into .venv"
	@$(BEGIN) && $(INSTALL) --compile-bytecode --python .venv/bin/python -r requirements/run.lock && $(END)
	@touch $@

.tools/stamp: requirements/tools.lock .venv/uv.stamp
	uv venv --quiet --clear --python .venv/bin/python .tools
	$(INSTALL) --python .tools/bin/python -r requirements/tools.lock
	@touch $@

.venv/dev.stamp: requirements/dev.lock .venv/run.stamp
	@echo "installing what requirements/dev.lock names into .venv"
	@$(BEGIN) && $(INSTALL) --compile-bytecode --python .venv/bin/python -r requirements/dev.lock && $(END)
	@touch $@
