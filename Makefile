# `make lab`: the whole service on this machine. `make test`: all tests but the harsh ones. `make help` lists the rest.
SHELL := /bin/bash
CACHE := $(or $(EGI_NOTEBOOKS_CACHE),$(HOME)/.cache/egi-notebooks)
# The newest Python here that ansible-core takes; of an activated environment, the one below it.
PYTHON := $(shell for v in 3.14 3.13 3.12; do for p in $$(type -ap python$$v) $$HOME/.pyenv/versions/$$v.*/bin/python; \
	do [ -x $$p ] && $$p -c 'import os, ssl, sys, venv; print(os.path.realpath(sys._base_executable))' 2>/dev/null && exit; done; done)
VENV := $(CACHE)/venv-$(shell { cat requirements.txt; echo $(PYTHON); } | sha256sum | cut -c1-16)
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help venv lock docs lab lab-nodes lab-status lab-open lab-down lab-clean lab-logs lab-ssh
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

venv: $(VENV)/ready  ## the project's own Python environment, from requirements.txt
	@[ "$$(readlink .venv)" = "$(VENV)" ] || { rm -rf .venv && ln -s $(VENV) .venv; }

$(VENV)/ready:
	@[ -n "$(PYTHON)" ] || { echo "no Python 3.12 or newer found" >&2; exit 1; }
	@echo "==> making the Python environment ($$($(PYTHON) --version)), once"
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --no-compile --require-hashes -r requirements.txt
	@touch $@

lock: venv  ## write requirements.txt from requirements.in
	pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-find-links --no-emit-index-url \
		--output-file requirements.txt requirements.in

docs: venv  ## the documentation as a web site: build/docs/index.html
	docs/docsite/build

lab: venv  ## the whole service (CHART=PATH takes another, unpacked chart)
	@python -m lab up

lab-nodes: venv  ## only the surroundings and bare booted nodes
	@python -m lab nodes

lab-status: venv  ## what runs
	@python -m lab status

lab-open: venv  ## publish the service on this machine's loopback, for a browser
	@python -m lab open

lab-down: venv  ## stop everything; `make lab` resumes
	@python -m lab down

lab-clean: venv  ## stop everything and forget disks, keys and secrets
	@python -m lab clean

lab-logs: venv  ## follow a node's console: NODE=master
	@python -m lab logs $(NODE)

lab-ssh: venv  ## a shell on a node: NODE=master
	@python -m lab ssh $(NODE)

VENV_READY := venv
include tests/tests.mk
