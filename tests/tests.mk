# Included by the Makefile.
# PATH and the virtual environment (`$(VENV_READY)`) are the Makefile's.
MOLECULE_SCENARIO ?= lab
TEST_PACKAGES := chromium chromium-driver libnss3-tools
IN_LAB := python -m lab exec --

.PHONY: lint sanity test-unit test-host test-molecule test-lab test-faults test-faults-full test-identity \
  test-identity-full test-destroy test-packages test beside-host beside-molecule beside-lint beside-unit benchmark \
  benchmark-cold fuzz

lint: $(VENV_READY)  ## run ansible-lint, yamllint, ruff, changelog, documentation with its links, ansible-test sanity
	yamllint --strict .
	ruff check .
	ruff format --check .
	antsibull-changelog lint
	ansible-lint
	antsibull-docs lint-collection-docs --plugin-docs .
	docs/docsite/build
	tests/sanity/run

sanity: $(VENV_READY)  ## run ansible-test sanity on the collection as it is installed
	tests/sanity/run

# With CORE: an environment with this ansible-core, and all other packages of the project's environment.
CORE_VENV := $(if $(CORE),$(VENV)-core-$(CORE))
test-unit: export PATH := $(CORE_VENV:%=%/bin:)$(PATH)
test-unit: $(VENV_READY) $(CORE_VENV:%=%/ready)  ## run the tests that need no lab (CORE=2.19: with another ansible-core)
	EGI_NOTEBOOKS_HELM=$$(python -m lab part helm)/helm python -m pytest tests/unit $(PYTEST)

$(VENV)-core-%/ready: | $(VENV_READY)
	@rm -rf $(@D) && $(PYTHON) -m venv $(@D)
	@$(@D)/bin/pip install --quiet --no-compile 'ansible-core==$*.*'
	@echo $(VENV)/lib/python*/site-packages > $$(echo $(@D)/lib/python*/site-packages)/project.pth
	@touch $@

test-molecule: $(VENV_READY)  ## run site.yml on fresh nodes: check mode, first run, second run without a change
	python -m lab nodes --fresh
	molecule reset --scenario-name $(MOLECULE_SCENARIO)
	$(IN_LAB) molecule test --scenario-name $(MOLECULE_SCENARIO)

test-packages:
	@dpkg-query --show $(TEST_PACKAGES) >/dev/null 2>&1 || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(TEST_PACKAGES); }

test-lab: $(VENV_READY) test-packages  ## test the running lab as an operator and as a user with a browser
	$(IN_LAB) pytest tests/lab

test-faults: $(VENV_READY)  ## test faults on the running lab: power cuts, full disks, interrupted runs (PYTEST="-m quick": the quick ones)
	$(IN_LAB) pytest --capture=no tests/faults $(PYTEST)

test-faults-full: export FAULTS_QUIET_SECONDS := 900
test-faults-full: export FAULTS_LOCK_SECONDS := 180
# Longer than Kubernetes waits for the status of a node.
test-faults-full: export FAULTS_DARK_SECONDS := 60
test-faults-full: test-faults  ## the same with longer waiting times

test-identity: $(VENV_READY)  ## test logins, modules and preflight with the running lab (PYTEST="-m 'not harsh'": Check-in stays up)
	$(IN_LAB) pytest --capture=no tests/identity $(PYTEST)

test-identity-full: export FAULTS_CHECKIN_SECONDS := 600
test-identity-full: test-identity  ## the same with ten minutes without Check-in

test-destroy: $(VENV_READY)  ## remove the service from the running lab
	$(IN_LAB) pytest tests/destroy

test-host: $(VENV_READY)  ## test that the lab leaves nothing on this host
	pytest tests/host

test:  ## run all tests except the harsh ones, and lint
	$(MAKE) test-packages
	$(MAKE) --jobs=2 beside-lint beside-unit beside-molecule
	$(IN_LAB) pytest --durations=15 -m 'not harsh' tests/lab tests/identity tests/faults tests/destroy

# What needs no lab runs at low priority while the nodes wait.
beside-host:
	$(MAKE) test-host

beside-molecule: beside-host
	$(MAKE) test-molecule

beside-lint: $(VENV_READY)
	nice -n 19 $(MAKE) lint

# Not during test-host, which would take the programs of these tests for the lab's.
beside-unit: beside-lint beside-host
	nice -n 19 $(MAKE) test-unit

benchmark: $(VENV_READY)  ## measure the figures that must be reached on this host
	python -m benchmarks.run

benchmark-cold: $(VENV_READY)  ## measure make lab and make test without a cache (an hour)
	python -m benchmarks.cold

fuzz: $(VENV_READY)  ## test the entitlement parser with a million broken URNs
	python benchmarks/fuzz_entitlement.py
