# `make demo` and `make test` set up what they need: the virtual environment, and Debian packages where they may.

VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/ready
LOWEST := .venv-lowest
# One process more than a small machine has cores, because many tests wait. A file stays in one process: what is built
# for its tests is built once. In the order of the files the long ones do not come last.
SIDE_BY_SIDE := -n 3 --dist loadfile --no-loadscope-reorder
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint test-lowest test-pythons plots docs outages lies gx-hours try-armhf clean

demo: $(READY)
	@$(call need,dbus-daemon,dbus)
	$(PYTHON) -m opendtu_dcload demo $(if $(DURATION),--duration $(DURATION))

test: lint
	@$(call need,dbus-daemon,dbus)
	@$(call need,dbus-send,dbus)
	@/usr/bin/python3 -c 'import dbus' 2>/dev/null || { $(call install,python3-dbus); }
	$(PYTHON) -m pytest $(SIDE_BY_SIDE)

lint: $(READY)
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy

# The lower bounds in pyproject.toml are true: the tests pass with exactly these versions. Left out is what these packages
# have no part in (the control, the benches and what they are made of) and what installs packages of its own (deploy).
NO_PART := tests/control tests/deploy $(patsubst %,tests/sim/test_%.py,bench cases dtu house_meter omniscient peers plots quirks world)
test-lowest: $(LOWEST)/ready
	$(LOWEST)/bin/python -m pytest $(SIDE_BY_SIDE) $(addprefix --ignore=,$(NO_PART))

# The Pythons of Venus OS and of Raspberry Pi OS where they are installed, with the newest packages and with the oldest.
test-pythons: test-python-3.12 test-python-3.13
test-python-%: $(READY)
	@python=$(call interpreter,$*); if [ -z "$$python" ]; then echo 'Python $* is not installed here: left out'; else \
	$(call test_with,.venv-$*,) && $(call test_with,.venv-$*-lowest,$(oldest)); fi

interpreter = $$(for python in python$(1) "$$(pyenv root 2>/dev/null)"/versions/$(1)*/bin/python; do \
	"$$python" -c '' 2>/dev/null && echo "$$python" && break; done)
test_with = { [ $(1)/ready -nt pyproject.toml ] || { "$$python" -m venv $(1) && \
	$(1)/bin/python -m pip install --quiet --editable '.[test]' $(2) && touch $(1)/ready; }; } && \
	$(1)/bin/python -VV && $(1)/bin/python -m pytest $(SIDE_BY_SIDE) $(addprefix --ignore=,$(NO_PART))

$(READY): pyproject.toml
	@python3 -c 'import ensurepip' 2>/dev/null || { $(call install,python3-venv); }
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --editable '.[test]'
	@touch $@

$(LOWEST)/ready: pyproject.toml $(READY)
	python3 -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --editable '.[test]' $(oldest)
	@touch $@

oldest = $$($(PYTHON) -c 'import tomllib; print(*(d.replace(">=", "==") for d in tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"]))')

# The manual's pictures; a test says when they are no longer what the controller does.
plots: $(READY)
	$(PYTHON) -m opendtu_dcload bench --plots docs

# The manual's tables of settings and of D-Bus paths; a test says when they are no longer what the program has.
docs: $(READY)
	$(PYTHON) -m tests.manual

# Takes meter, OpenDTU and bus away from a running demo and brings them back; half an hour of real time.
outages: $(READY)
	$(PYTHON) tests/outages.py

# Plays plausible lies of meter, OpenDTU and inverters to the whole program; twenty minutes of real time.
lies: $(READY)
	$(PYTHON) -m tests.lies

# Plays on a GX what a user and its other services do there, again and again; two hours of real time.
gx-hours: $(READY)
	@$(call need,dbus-daemon,dbus)
	@/usr/bin/python3 -c 'import dbus, gi' 2>/dev/null || { $(call install,python3-dbus python3-gi); }
	$(PYTHON) -m tests.gx_hours

# The armv7l bundle on an emulated ARM Debian, against the simulated devices. Needs root, debootstrap and qemu-user-static.
try-armhf: $(READY)
	PYTHON=$(PYTHON) deploy/try_armhf.sh

clean:
	rm -rf $(VENV) .venv-* build dist src/*.egg-info

need = command -v $(1) >/dev/null || { $(call install,$(2)); }

# Root installs; who may use sudo without a password too; everybody else is told what is missing.
install = if [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq $(1); \
	elif sudo -n true 2>/dev/null; then sudo -n apt-get update -qq && sudo -n apt-get install -y -qq $(1); \
	else echo "$(1) is missing: sudo apt-get install $(1)" >&2; fi
