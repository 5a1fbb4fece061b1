# Every command does its own set-up. `make demo` and `make test` are where to begin.
# Everything they install goes to .venv/; delete it to start afresh.

PYTHON ?= python3
# The interpreters that `make test` runs on: 3.11 and 3.12, those that are found.
find_python = $(shell for p in python$(1) $$(ls -d $$(pyenv root 2>/dev/null)/versions/$(1).*/bin/python 2>/dev/null); do \
  $$p -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "$(1)")' 2>/dev/null && { echo $$p; break; }; done)
VERSIONS := $(foreach v,3.11 3.12,$(if $(call find_python,$(v)),$(v)))

.PHONY: demo test compile-check test-slow test-openstl format
.NOTPARALLEL:
.SECONDARY:

demo: .venv/demo/ready
	.venv/demo/bin/pdr demo

.venv/demo/ready: pyproject.toml
	$(PYTHON) -m venv --clear .venv/demo
	.venv/demo/bin/pip install --quiet --editable '.[data,report]'
	touch $@

# What CI runs. A fresh environment for each Python, so that a missing dependency shows.
test: compile-check $(addprefix test-python,$(VERSIONS))
	@test -n "$(VERSIONS)" || { echo "make test needs python3.11 or python3.12 on PATH; found neither"; exit 1; }

# Coverage is counted on the newest Python, which has the interpreters of all kernels; 3.12 counts
# at little cost.
COVERAGE = --cov --cov-report=term:skip-covered --cov-fail-under=90
test-python3.12: export COVERAGE_CORE = sysmon

test-python%: env-python%
	.venv/$*/bin/ruff check .
	.venv/$*/bin/ruff format --check .
	.venv/$*/bin/mypy
	.venv/$*/bin/pytest -n 2 $(if $(filter $*,$(lastword $(VERSIONS))),$(COVERAGE))

env-python%:
	$(call find_python,$*) -m venv --clear .venv/$*
	.venv/$*/bin/pip install --quiet --editable '.[dev]'

# Compiles GPU kernels without a GPU, in the newest Python's environment. The CUDA plugin lies beside
# it: installed in it, JAX would look for a GPU. `python -m pallas_kernels.tools.compile_check` alone
# compiles every case; two of them take the kernels' every path.
compile-check: LATEST = .venv/$(lastword $(VERSIONS))/bin
compile-check: $(addprefix env-python,$(lastword $(VERSIONS)))
	rm -rf .venv/cuda
	@version=$$($(LATEST)/python -c 'import jax; print(jax.__version__)') && \
	if ! $(LATEST)/pip install --quiet --no-deps --target .venv/cuda nvidia-cuda-nvcc \
	  nvidia-cuda-nvdisasm jax-cuda13-plugin==$$version jax-cuda13-pjrt==$$version; \
	then echo "compile-check skipped: the packages above cannot be installed"; \
	else PYTHONPATH=.venv/cuda $(LATEST)/python -m pallas_kernels.tools.compile_check \
	  --cases A weather --architectures sm_90a; fi

# Minutes to hours: trainings that must learn, and checks against data outside the repository.
test-slow: test-python$(lastword $(VERSIONS))
	.venv/$(lastword $(VERSIONS))/bin/pytest -m slow

# What needs PyTorch: its files are read, written and refused, and its sampling is compared with. It
# is too large for the environments of `make test`, where these tests are skipped.
test-openstl: .venv/openstl/ready
	.venv/openstl/bin/pytest tests/interop/test_torch_files.py tests/kernels/test_splat2d_grid_sample.py

.venv/openstl/ready: pyproject.toml
	$(PYTHON) -m venv --clear .venv/openstl
	.venv/openstl/bin/pip install --quiet --editable '.[test,openstl]'
	touch $@

format: .venv/$(lastword $(VERSIONS))/bin/ruff
	.venv/$(lastword $(VERSIONS))/bin/ruff check --fix .
	.venv/$(lastword $(VERSIONS))/bin/ruff format .

# Only if there is no environment: `make test` makes a fresh one.
.venv/%/bin/ruff:
	$(MAKE) env-python$*
