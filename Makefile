# Needs Python 3.11 or later, with venv, and nothing else. What is installed lives in .venv; a
# checksum in it says what that was, so that nothing is installed twice.

PYTHONS = $(or $(PYTHON),python3.14 python3.13 python3.12 python3.11 python3)
VENV = .venv
BIN = $(VENV)/bin
PIP_INSTALL = $(BIN)/python -m pip install -qq --disable-pip-version-check
LOCK = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --quiet pyproject.toml --group build

.PHONY: help setup run test chaos check bench lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "run, test, chaos, bench and lock pass ARGS on: make run ARGS='--port 9000'"

setup: $(VENV)/.runtime ## install what CronPulse needs to run, in .venv
	@echo "Installed: $(BIN)/cronpulse"

run: $(VENV)/.runtime ## run CronPulse: API, scheduler and workers
	@exec $(BIN)/cronpulse serve $(ARGS)

test: $(VENV)/.dev ## run the tests
	$(BIN)/pytest $(ARGS)

chaos: $(VENV)/.dev ## kill and stop the scaled shape for ten minutes, and prove that nothing is lost
	@exec $(BIN)/python -m tests.live.chaos_run $(ARGS)

check: $(VENV)/.dev ## check style, types, layers and the published schema
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/cronpulse openapi | diff -u docs/openapi.json -

bench: $(VENV)/.dev ## measure how fast it is, as ratios to a limit or a peer
	$(BIN)/python -m benchmarks $(ARGS)

lock: $(VENV)/.dev ## lock the dependencies again (ARGS=--upgrade takes newer ones)
	$(LOCK) $(ARGS) --output-file requirements.lock
	$(LOCK) $(ARGS) --group dev --constraint requirements.lock --output-file requirements-dev.lock

clean: ## remove .venv, caches and build results; data stays
	rm -rf $(VENV) build dist *.egg-info
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Scripts in a virtual environment carry its path: one that was moved, or whose Python is gone, is
# made anew. One that somebody else made is taken as it is, if it works.
ifneq ($(shell test -x $(BIN)/python && cat $(VENV)/.created 2>/dev/null),$(CURDIR))
.PHONY: $(VENV)/.created
endif

$(VENV)/.created:
	@works='import pip, sys; sys.exit(sys.version_info < (3, 11))'; \
	makes='import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))'; \
	if test -e $@ || ! $(BIN)/python -c "$$works" >/dev/null 2>&1; then \
		for python in $(PYTHONS) ''; do \
			test -z "$$python" || ! "$$python" -c "$$makes" >/dev/null 2>&1 || break; \
		done; \
		test -n "$$python" || { echo "CronPulse needs Python 3.11 or later, with venv;" \
			"found none among: $(PYTHONS)" >&2; exit 1; }; \
		echo "Making $(VENV) with $$("$$python" --version)"; \
		"$$python" -m venv --clear $(VENV) || exit 1; \
	fi; \
	echo '$(CURDIR)' >$@

$(VENV)/.runtime: $(VENV)/.created requirements.lock pyproject.toml
	$(call install,requirements.lock)
	@$(call checksum,requirements.lock) >$@

# What is locked for development holds all that is locked for running, in the same versions.
$(VENV)/.dev: $(VENV)/.created requirements-dev.lock pyproject.toml
	$(call install,requirements-dev.lock)
	@$(call checksum,requirements.lock) >$(VENV)/.runtime
	@$(call checksum,requirements-dev.lock) >$@

checksum = cat $(1) pyproject.toml | cksum

define install
@test "$$($(call checksum,$(1)))" = "$$(cat $@ 2>/dev/null)" || { \
	echo "Installing $(1), which may take a minute" && \
	rm -f $@ && \
	$(PIP_INSTALL) --require-hashes -r $(1) && \
	$(PIP_INSTALL) --no-deps --no-build-isolation -e .; }
endef
