# Included by the Makefile.
# PATH and the virtual environment (`$(VENV_READY)`) are the Makefile's.
MOLECULE_SCENARIO ?= lab
TEST_PACKAGES := chromium chromium-driver libnss3-tools
IN_LAB := python -m lab exec --

.PHONY: lint sanity test-unit test-host test-molecule test-lab test-faults test-faults-full test-identity \
  test-identity-full test-destroy test-packages test beside-host beside-molecule beside-lint beside-unit benchmark \
  benchmark-cold fuzz

lint: $(VENV_READY)  ## ansible-lint, yamllint, ruff, changelog, documentation with its links, ansible-test sanity
	yamllint --strict .
	ruff check .
	ruff format --check .
	antsibull-changelog lint
	ansible-lint
	antsibull-docs lint-collection-docs --plugin-docs .
	docs/docsite/build
	tests/sanity/run

sanity: $(VENV_READY)  ## ansible-test sanity on the collection as it is installed
	tests/sanity/run

# With CORE, an environment that has this ansible-core, and all other packages from the project's own.
CORE_VENV := $(if $(CORE),$(VENV)-core-$(CORE))
test-unit: export PATH := $(CORE_VENV:%=%/bin:)$(PATH)
test-unit: $(VENV_READY) $(CORE_VENV:%=%/ready)  ## everything that needs no lab (CORE=2.19: with another ansible-core)
	EGI_NOTEBOOKS_HELM=$$(python -m lab part helm)/helm python -m pytest tests/unit $(PYTEST)

$(VENV)-core-%/ready: | $(VENV_READY)
	@rm -rf $(@D) && $(PYTHON) -m venv $(@D)
	@$(@D)/bin/pip install --quiet --no-compile 'ansible-core==$*.*'
	@echo $(VENV)/lib/python*/site-packages > $$(echo $(@D)/lib/python*/site-packages)/project.pth
	@touch $@

test-molecule: $(VENV_READY)  ## site.yml on fresh nodes: check mode, first run, second run without a change
	python -m lab nodes --fresh
	molecule reset --scenario-name $(MOLECULE_SCENARIO)
	$(IN_LAB) molecule test --scenario-name $(MOLECULE_SCENARIO)

test-packages:
	@dpkg-query --show $(TEST_PACKAGES) >/dev/null 2>&1 || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(TEST_PACKAGES); }

test-lab: $(VENV_READY) test-packages  ## ask the running lab, as an operator and as a user with a browser
	$(IN_LAB) pytest tests/lab

test-faults: $(VENV_READY)  ## every fault on the running lab: power cuts, full disks, killed runs (PYTEST="-m quick": no harsh ones)
	$(IN_LAB) pytest --capture=no tests/faults $(PYTEST)

test-faults-full: export FAULTS_QUIET_SECONDS := 900
test-faults-full: export FAULTS_LOCK_SECONDS := 180
# Longer than Kubernetes waits for a word of a node.
test-faults-full: export FAULTS_DARK_SECONDS := 60
test-faults-full: test-faults  ## the same with fifteen quiet minutes, three of a held lock and one without power

test-identity: $(VENV_READY)  ## logins, the modules and preflight against the running lab's Check-in and hub (PYTEST="-m 'not harsh'": Check-in stays up)
	$(IN_LAB) pytest --capture=no tests/identity $(PYTEST)

test-identity-full: export FAULTS_CHECKIN_SECONDS := 600
test-identity-full: test-identity  ## the same with ten minutes without Check-in

test-destroy: $(VENV_READY)  ## take the service away from the running lab
	$(IN_LAB) pytest tests/destroy

test-host: $(VENV_READY)  ## that the lab leaves nothing on this machine when it is down
	pytest tests/host

test:  ## all but the harsh tests: lint, unit tests, the lab itself, site.yml on fresh nodes, the service as operator and as user
	$(MAKE) test-packages
	$(MAKE) --jobs=2 beside-lint beside-unit beside-molecule
	$(IN_LAB) pytest --durations=15 -m 'not harsh' tests/lab tests/identity tests/faults tests/destroy

# What needs no lab goes on beside the nodes' long waits, with what they leave of the processors.
beside-host:
	$(MAKE) test-host

beside-molecule: beside-host
	$(MAKE) test-molecule

beside-lint: $(VENV_READY)
	nice -n 19 $(MAKE) lint

# Not beside test-host, which would take the programs that these tests run for the lab's.
beside-unit: beside-lint beside-host
	nice -n 19 $(MAKE) test-unit

benchmark: $(VENV_READY)  ## the figures the project must reach, measured on this machine
	python -m benchmarks.run

benchmark-cold: $(VENV_READY)  ## the same for a machine that has built nothing yet: make lab and make test (an hour)
	python -m benchmarks.cold

fuzz: $(VENV_READY)  ## a million broken URNs for the parser of entitlements, and its speed
	python benchmarks/fuzz_entitlement.py
