# Every command does its own set-up. `make demo` and `make test` are where to begin.
# Everything they install goes to .venv/; delete it to start afresh.

# The Pythons that the project is tested on, the best first; then later ones.
find_python = $(shell for p in python$(1) $$(ls -d $$(pyenv root 2>/dev/null)/versions/$(1).*/bin/python 2>/dev/null); do \
  $$p -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "$(1)")' 2>/dev/null && { echo $$p; break; }; done)
FOUND := $(foreach v,3.12 3.11 3.13 3.14,$(if $(call find_python,$(v)),$(v)))
NEWEST := $(firstword $(FOUND))
OTHER := $(filter-out $(NEWEST),$(filter 3.11 3.12,$(FOUND)))
ifeq ($(NEWEST),)
$(error Python 3.11 or newer is needed on PATH; none was found)
endif
ENV = .venv/$(NEWEST)
PYTEST = pytest -n 2 --dist loadscope

.PHONY: demo check test test-all test-rest coverage compile-check longer test-slow test-openstl test-floors format
.NOTPARALLEL:
.SECONDARY:

demo: .venv/demo/ready
	.venv/demo/bin/pdr demo

.venv/demo/ready: pyproject.toml
	$(call find_python,$(NEWEST)) -m venv --clear .venv/demo
	.venv/demo/bin/pip install --quiet --editable '.[data,report]'
	touch $@

# The inner loop: what changed since main, and a few tests of everything.
check: $(ENV)/ready
	$(ENV)/bin/ruff check --quiet .
	$(ENV)/bin/ruff format --quiet --check .
	$(ENV)/bin/mypy
	$(ENV)/bin/$(PYTEST) -q $$($(ENV)/bin/python tests/changed.py)

# What a contribution has to pass, on one Python, in a fresh environment: a missing dependency shows.
# Coverage costs little from Python 3.12 on.
test: export COVERAGE_CORE = $(if $(filter 3.11,$(NEWEST)),ctrace,sysmon)
test: fresh-$(NEWEST)
	$(ENV)/bin/ruff check .
	$(ENV)/bin/ruff format --check .
	$(ENV)/bin/mypy
	mkdir -p .cache
	$(ENV)/bin/$(PYTEST) -m "not slow and not rest" --cov --cov-report=

# What CI runs: `make test`, and what is not in it.
test-all: test test-rest
test-rest: coverage compile-check longer $(addprefix suite-,$(OTHER))

# The suite's longest tests, which would take `make test` beyond ten minutes.
longer: $(ENV)/ready
	$(ENV)/bin/$(PYTEST) -m rest

coverage:
	$(ENV)/bin/coverage report --skip-covered --fail-under=90

# The tests of `make test` on another Python.
suite-%: fresh-%
	.venv/$*/bin/$(PYTEST) -m "not slow and not rest"

fresh-%:
	$(call find_python,$*) -m venv --clear .venv/$*
	.venv/$*/bin/pip install --quiet --no-compile --editable '.[dev]'
	touch .venv/$*/ready

.venv/%/ready: pyproject.toml
	$(MAKE) fresh-$*

# Compiles GPU kernels without a GPU. The CUDA plugin lies beside the environment: installed in it,
# JAX would look for a GPU. `python -m pallas_kernels.tools.compile_check` alone compiles every case;
# two of them take the kernels' every path.
compile-check: $(ENV)/ready
	rm -rf .venv/cuda
	@version=$$($(ENV)/bin/python -c 'import jax; print(jax.__version__)') && \
	if ! $(ENV)/bin/pip install --quiet --no-deps --target .venv/cuda nvidia-cuda-nvcc \
	  nvidia-cuda-nvdisasm jax-cuda13-plugin==$$version jax-cuda13-pjrt==$$version; \
	then echo "compile-check skipped: the packages above cannot be installed"; \
	else PYTHONPATH=.venv/cuda $(ENV)/bin/python -m pallas_kernels.tools.compile_check \
	  --cases A weather --architectures sm_90a; fi

# Minutes to hours: trainings that must learn, random search, data outside the repository.
test-slow: $(ENV)/ready
	$(ENV)/bin/pytest -m slow

# What needs PyTorch: its files are read, written and refused, and its sampling is compared with. It
# is too large for the environment of `make test`, where these tests are skipped.
test-openstl: .venv/openstl/ready
	.venv/openstl/bin/pytest tests/interop tests/kernels/test_splat2d_grid_sample.py

.venv/openstl/ready: pyproject.toml
	$(call find_python,$(NEWEST)) -m venv --clear .venv/openstl
	.venv/openstl/bin/pip install --quiet --editable '.[test,openstl]'
	touch $@

# With the lowest versions that pyproject.toml allows, everything is imported and a run is made.
test-floors:
	rm -rf .venv/floors
	$(call find_python,$(NEWEST)) -m venv .venv/floors
	$(call find_python,$(NEWEST)) tests/floors.py > .venv/floors/constraints.txt
	.venv/floors/bin/pip install --quiet --constraint .venv/floors/constraints.txt \
	  --editable '.[data,flow,report]' pytest hypothesis beartype scikit-image pytest-cov
	.venv/floors/bin/pytest tests/commands/test_train.py --override-ini filterwarnings=default

format: $(ENV)/ready
	$(ENV)/bin/ruff check --fix .
	$(ENV)/bin/ruff format .
