# Included by the Makefile. The order of `test` is from fast to slow; pytest's summary of the lab comes last.
# PATH and the virtual environment (`$(VENV_READY)`) are the Makefile's.
MOLECULE_SCENARIO ?= lab
TEST_PACKAGES := chromium chromium-driver libnss3-tools
IN_LAB := python -m lab exec --

.PHONY: lint sanity test-unit test-molecule test-lab test-packages test test-all benchmark

lint: $(VENV_READY)  ## ansible-lint, yamllint, ruff, changelog, ansible-test sanity
	yamllint --strict .
	ruff check .
	ruff format --check .
	antsibull-changelog lint
	ansible-lint
	tests/sanity/run

sanity: $(VENV_READY)  ## ansible-test sanity on the collection as it is installed
	tests/sanity/run

test-unit: $(VENV_READY)  ## everything that needs no lab
	EGI_NOTEBOOKS_HELM=$$(python -m lab part helm)/helm pytest tests/unit

test-molecule: $(VENV_READY)  ## site.yml on fresh nodes: check mode, first run, second run without a change
	python -m lab nodes --fresh
	molecule reset --scenario-name $(MOLECULE_SCENARIO)
	$(IN_LAB) molecule test --scenario-name $(MOLECULE_SCENARIO)

test-packages:
	@dpkg-query --show $(TEST_PACKAGES) >/dev/null 2>&1 || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(TEST_PACKAGES); }

test-lab: $(VENV_READY) test-packages  ## ask the running lab, as an operator and as a user with a browser
	$(IN_LAB) pytest tests/lab

test: lint test-unit  ## lint and unit tests: what needs no lab

test-all:  ## lint, unit tests, and the whole service on fresh nodes of the lab
	$(MAKE) test
	$(MAKE) test-molecule
	$(MAKE) test-lab

benchmark: $(VENV_READY)  ## the figures the project must reach, measured on this machine
	python benchmarks/run.py
