# `make lab`: the whole service on this host. `make test`: all tests except the harsh ones. `make help` lists the rest.
SHELL := /bin/bash
CACHE := $(or $(EGI_NOTEBOOKS_CACHE),$(HOME)/.cache/egi-notebooks)
# The newest installed Python that ansible-core supports; for a virtual environment, its base Python.
PYTHON := $(shell for v in 3.14 3.13 3.12; do for p in $$(type -ap python$$v) $$HOME/.pyenv/versions/$$v.*/bin/python; \
	do [ -x $$p ] && $$p -c 'import os, ssl, sys, venv; print(os.path.realpath(sys._base_executable))' 2>/dev/null && exit; done; done)
VENV := $(CACHE)/venv-$(shell { cat requirements.txt; echo $(PYTHON); } | sha256sum | cut -c1-16)
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help venv lock docs lab lab-nodes lab-status lab-open lab-down lab-clean lab-logs lab-ssh
help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

venv: $(VENV)/ready  ## create the project's Python environment from requirements.txt
	@[ "$$(readlink .venv)" = "$(VENV)" ] || { rm -rf .venv && ln -s $(VENV) .venv; }

$(VENV)/ready:
	@[ -n "$(PYTHON)" ] || { echo "no Python 3.12 or newer found" >&2; exit 1; }
	@echo "==> creating the Python environment ($$($(PYTHON) --version)), once"
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --no-compile --require-hashes -r requirements.txt
	@touch $@

lock: venv  ## write requirements.txt from requirements.in
	pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-find-links --no-emit-index-url \
		--output-file requirements.txt requirements.in

docs: venv  ## build the documentation as a web site: build/docs/index.html
	docs/docsite/build

lab: venv  ## start the whole service (CHART=PATH: with another, unpacked chart)
	@python -m lab up

lab-nodes: venv  ## start the nodes and their network without a service
	@python -m lab nodes

lab-status: venv  ## show what is running
	@python -m lab status

lab-open: venv  ## forward the service to a browser on this host
	@python -m lab open

lab-down: venv  ## stop everything; `make lab` resumes
	@python -m lab down

lab-clean: venv  ## stop everything and delete disks, keys and secrets
	@python -m lab clean

lab-logs: venv  ## follow the console of a node: NODE=master
	@python -m lab logs $(NODE)

lab-ssh: venv  ## open a shell on a node: NODE=master
	@python -m lab ssh $(NODE)

VENV_READY := venv
include tests/tests.mk
include tests/awx.mk
