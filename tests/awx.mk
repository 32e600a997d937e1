# Included by the Makefile.
# PATH, CACHE, PYTHON and the virtual environment (`$(VENV_READY)`) are the Makefile's.
# Sources of the collection awx.awx; where there are none, a package of PyPI brings it.
AWX_COLLECTION := $(wildcard $(CACHE)/awx_collection)
AWX_ENVIRONMENT := $(CACHE)/awx-$(shell { cat tests/awx/*.txt tests/awx/install; echo $(PYTHON) $(VENV); \
	[ -z "$(AWX_COLLECTION)" ] || find $(AWX_COLLECTION) -type f -exec sha256sum {} + | sort; } | sha256sum | cut -c1-16)

.PHONY: lock-awx test-awx
$(AWX_ENVIRONMENT)/ready: | $(VENV_READY)
	@echo "==> making the environment of AWX's jobs, once"
	@tests/awx/install $(AWX_ENVIRONMENT) $(PYTHON) $$(python -c 'import site; print(site.getsitepackages()[0])') \
		$(AWX_COLLECTION)

lock-awx: $(VENV_READY)  ## write tests/awx/*.txt anew from tests/awx/*.in
	pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-find-links --no-emit-index-url \
		--output-file tests/awx/requirements.txt tests/awx/requirements.in
	{ grep -v '^#' tests/awx/collections.in; pip download --quiet --no-deps -r tests/awx/collections.in -d /tmp/lock-awx; \
		pip hash /tmp/lock-awx/*.whl | grep -v '^/'; } | paste -sd' ' > tests/awx/collections.txt
	rm -r /tmp/lock-awx

test-awx: $(VENV_READY) $(AWX_ENVIRONMENT)/ready  ## AWX: its image's context, its jobs by ansible-runner, its set-up
	EGI_NOTEBOOKS_AWX=$(AWX_ENVIRONMENT) pytest tests/awx
