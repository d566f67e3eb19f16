# `make demo` and `make test` set up what they need: the virtual environment, and Debian packages where they may.

VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/ready
LOWEST := .venv-lowest
RELEASE := .venv-release
REALTIME := $(shell grep -rlF pytest.mark.realtime tests)
QUICK := and not long
AXE := .browser/node_modules/axe-core/axe.min.js
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONDONTWRITEBYTECODE # tests start many programs: they are compiled once

.PHONY: demo test test-all that-wait that-compute lint browser browser-tools status-picture test-lowest test-pythons plots \
	docs faults agreement mutants outages lies \
	gx-hours lightness web-load fuzz soak pins release try-armhf clean

# Needs no more than the product; where the tests are set up, that is it.
demo: $(if $(wildcard $(READY)),$(READY),$(VENV)/product)
	@$(call need,dbus-daemon,dbus)
	$(PYTHON) -m opendtu_dcload demo $(if $(DURATION),--duration $(DURATION))

test test-all: $(READY)
	@$(call need,dbus-daemon,dbus)
	@$(call need,dbus-send,dbus)
	@$(call need,avahi-daemon,avahi-daemon)
	@$(call need,mosquitto,mosquitto)
	@$(call need,openssl,openssl)
	@/usr/bin/python3 -c 'import dbus' 2>/dev/null || { $(call install,python3-dbus); }
	@$(call side_by_side,$(PYTHON),$(if $(filter test,$@),$(QUICK)),,lint)

# Tests that wait for real programs and devices wait side by side. Beside them, and after them when they want the
# processor, run those that compute; of these a file stays in one process, so that what it needs is built once.
side_by_side = echo 'Two groups of tests run side by side; each is shown when it has ended.' && \
	$(MAKE) --no-print-directory --jobs=3 --output-sync=target --keep-going $(4) that-wait that-compute \
	PYTHON=$(1) CHOSEN='$(2)' LEFT_OUT='$(3)'
that-wait:
	$(PYTHON) -m pytest --durations=10 -n 8 --dist worksteal -m 'realtime $(CHOSEN)' $(filter-out $(addsuffix %,$(LEFT_OUT)),$(REALTIME))
that-compute:
	nice $(PYTHON) -m pytest --durations=10 --timeout 900 -n 3 --dist loadfile --no-loadscope-reorder -m 'not realtime $(CHOSEN)' \
		$(addprefix --ignore=,$(REALTIME) $(LEFT_OUT))

lint: $(READY)
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy

# The status page in a real browser; what it looks like is then in artefacts/.
browser: $(READY) browser-tools
	$(PYTHON) -m pytest --durations=10 -n 2 tests/web/browser

browser-tools: $(AXE)
	@$(call need,chromium,chromium fonts-dejavu-core)
$(AXE):
	@$(call need,npm,npm)
	npm install --prefix $(firstword $(subst /, ,$@)) --no-save --no-package-lock --no-audit --no-fund --ignore-scripts axe-core@4.14.1

# The lower bounds in pyproject.toml are true: the tests pass with exactly these versions. Left out is what these packages
# have no part in (the control, the benches and what they are made of) and what installs packages of its own (deploy).
NO_PART := tests/control tests/deploy tests/soak tests/sim/bench tests/sim/peers tests/sim/runs tests/sim/servers/test_meter_view.py \
	tests/web/browser $(patsubst %,tests/sim/plant/test_%.py,quirks sim_dtu world)
test-lowest: $(LOWEST)/ready
	@$(call side_by_side,$(LOWEST)/bin/python,$(QUICK),$(NO_PART))

# The Pythons of Venus OS and of Raspberry Pi OS where they are installed, with the newest packages and with the oldest;
# with ONLY_WAIT=1 only what talks to real programs and devices.
test-pythons: $(foreach python,3.12 3.13,test-python-$(python) test-python-$(python)-lowest)
test-python-%: $(READY)
	@python=$(call interpreter,$(*:-lowest=)); if [ -z "$$python" ]; then echo 'Python $* is not installed here: left out'; \
	else { [ .venv-$*/ready -nt pyproject.toml ] || { "$$python" -m venv .venv-$* && .venv-$*/bin/python -m pip install \
	--quiet --editable '.[test]' $(if $(filter %-lowest,$*),$(oldest)) && touch .venv-$*/ready; }; } && \
	.venv-$*/bin/python -VV && $(if $(ONLY_WAIT),$(MAKE) that-wait PYTHON=.venv-$*/bin/python CHOSEN='$(QUICK)' \
	LEFT_OUT='$(NO_PART)',{ $(call side_by_side,.venv-$*/bin/python,$(QUICK),$(NO_PART)); }); fi

interpreter = $$(for python in python$(1) "$$(pyenv root 2>/dev/null)"/versions/$(1)*/bin/python; do \
	"$$python" -c '' 2>/dev/null && echo "$$python" && break; done)

$(READY): pyproject.toml
	@python3 -c 'import ensurepip' 2>/dev/null || { $(call install,python3-venv); }
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --editable '.[test]'
	@touch $@

$(VENV)/product: pyproject.toml
	@python3 -c 'import ensurepip' 2>/dev/null || { $(call install,python3-venv); }
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --editable .
	@touch $@

$(LOWEST)/ready: pyproject.toml $(READY)
	python3 -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --editable '.[test]' $(oldest)
	@touch $@

$(RELEASE)/ready: pyproject.toml
	python3 -m venv $(RELEASE)
	$(RELEASE)/bin/python -m pip install --quiet 'build>=1' 'twine>=6'
	@touch $@

oldest = $$($(PYTHON) -c 'import tomllib; print(*(d.replace(">=", "==") for d in tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"] + tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["mqtt"]))')

# The manual's pictures; a test says when they are no longer what the controller does.
plots: $(READY)
	$(PYTHON) -m opendtu_dcload bench --plots docs

# The manual's picture of the status page: an hour of a measured day, four times as fast.
status-picture: $(READY) browser-tools
	@$(call need,faketime,faketime)
	@$(call need,pngquant,pngquant)
	$(PYTHON) -m tests.web.browser.status_picture

# The manual's tables of settings and of D-Bus paths, and its reasons for the status page; tests say when they are old.
docs: $(READY)
	$(PYTHON) -m tests.manual
	$(PYTHON) -m tests.web.browser.reasons_page

# Breaks the program at one place after the other, and says where no test turns red; five minutes.
mutants: $(READY)
	@$(call need,dbus-daemon,dbus)
	$(PYTHON) -m tests.mutants

# Plays all faults to the whole program, most of them on virtual time, and says which promise was kept; six minutes.
faults: $(READY)
	@$(call need,dbus-daemon,dbus)
	$(PYTHON) -m tests.faults

# Plays thirteen windows of load on virtual time and to real processes, and prints whether they cost the same; half an hour.
# What it has measured is kept in RESULTS, and not measured again.
RESULTS := agreement.json
agreement: $(READY)
	@$(call need,faketime,faketime)
	$(PYTHON) -m tests.agreement $(RESULTS)

# Takes meter, OpenDTU and bus away from a running demo and brings them back; half an hour of real time.
outages: $(READY)
	$(PYTHON) -m tests.plays.outages

# Plays plausible lies of meter, OpenDTU and inverters to the whole program; twenty minutes of real time.
lies: $(READY)
	$(PYTHON) -m tests.plays.lies

# Plays on a GX what a user and its other services do there, again and again; two hours of real time.
gx-hours: $(READY)
	@$(call need,dbus-daemon,dbus)
	@/usr/bin/python3 -c 'import dbus, gi' 2>/dev/null || { $(call install,python3-dbus python3-gi); }
	$(PYTHON) -m tests.plays.gx_hours

# How late the meter is heard, what the program takes of a GX, and how often OpenDTU is asked, each beside its base: some
# minutes of real time, and some of virtual time.
lightness: $(READY)
	@$(call need,dbus-daemon,dbus)
	$(PYTHON) -m tests.plays.meter_ages
	$(PYTHON) -m tests.plays.lightness
	$(PYTHON) -m tests.plays.dtu_requests

# Whether who looks at the status page disturbs what regulates: the same hour with and without ten clients, and what they
# take of processor and memory; five minutes.
web-load: $(READY)
	@$(call need,dbus-daemon,dbus)
	$(PYTHON) -m tests.plays.web_load

# Plays a million spoilt answers, files and calls to every door of the program; a quarter of an hour on two cores.
fuzz: $(READY)
	$(PYTHON) -m tests.fuzz

# Plays a month to the whole program on virtual time, with weather, guests and faults at random; an hour or two on one core.
soak: $(READY)
	$(PYTHON) -m tests.soak

# The newest packages for the bundles, with hashes of their wheels.
pins: $(READY)
	$(PYTHON) deploy/pin.py

# All that is published of a version, into dist/, which is emptied, or into an empty DIST; with TAG=v1.2.3 only if that is
# the version. BASE_URL is where it will be fetched from, GITHUB=USER:BRANCH where SetupHelper looks for updates; by default
# nowhere.
DIST := dist
release: $(RELEASE)/ready
	@[ "$(DIST)" != dist ] || rm -rf dist
	$(RELEASE)/bin/python deploy/release.py --out $(DIST) $(if $(TAG),--tag $(TAG)) $(if $(BASE_URL),--base-url $(BASE_URL)) \
		$(if $(GITHUB),--github $(GITHUB))
	$(RELEASE)/bin/python -m twine check --strict $(DIST)/*.whl $(DIST)/opendtu_dcload-*.tar.gz

# The armv7l bundle on an emulated ARM Debian, against the simulated devices. Needs root, debootstrap and qemu-user-static.
try-armhf: $(READY)
	PYTHON=$(PYTHON) deploy/try_armhf.sh

clean:
	rm -rf $(VENV) .venv-* .browser artefacts build dist src/*.egg-info

need = PATH=$$PATH:/usr/sbin command -v $(1) >/dev/null || { $(call install,$(2)); }

# Root installs; who may use sudo without a password too; everybody else is told what is missing.
install = if [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq $(1); \
	elif sudo -n true 2>/dev/null; then sudo -n apt-get update -qq && sudo -n apt-get install -y -qq $(1); \
	else echo "$(1) is missing: sudo apt-get install $(1)" >&2; fi
