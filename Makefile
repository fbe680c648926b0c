# Verbs over meson; `make help` lists them.
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 600
FUZZ_TARGETS ?=

BUILD = build
# For size: it costs 2 % of CPU and saves 8 % of resident memory (docs/performance.md).
RELEASE = --buildtype=release -Doptimization=s
PYTHON = /usr/bin/python3

.PHONY: all help test check quickstart quickstart-down bench fuzz install clean
all: $(BUILD)/build.ninja ## build the release into build/
	@ninja -C $(BUILD)

# A target of its own, so that meson runs only once; ninja itself notices later changes of the build files.
$(BUILD)/build.ninja:
	@meson setup $(BUILD) $(RELEASE) -Dtests=false -Dwerror=true

test: ## prove everything: unit, fuzz corpora, end to end, checks (root; installs packages; 2 cores: minutes)
	@tools/test

check: all ## format, layers, banned functions, clang-tidy; fails on a finding
	@tools/check $(BUILD)

quickstart: ## run a node with its own API and example pods on a private containerd (root)
	@tools/quickstart up

quickstart-down: ## end the quickstart and remove all its traces
	@tools/quickstart down

bench: ## measure the release builds: tables, and build/bench*.json (root)
	@tools/setup
	@$(MAKE) --no-print-directory all
	@$(PYTHON) tools/bench
	@$(PYTHON) tools/bench-cluster
	@$(PYTHON) tools/bench-server
	@$(PYTHON) tools/bench-load
	@$(PYTHON) tools/bench-plane
	@$(PYTHON) tools/bench-probes

fuzz: ## fuzz each parser FUZZ_SECONDS long (600), all or FUZZ_TARGETS
	@tools/fuzz $(FUZZ_SECONDS) $(FUZZ_TARGETS)

install: all ## install into DESTDIR with PREFIX (/usr/local)
	@meson configure $(BUILD) --prefix=$(PREFIX)
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD)

clean: ## remove everything built
	@rm -rf build build-test build-fuzz build-bench

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "make test needs root; make install takes DESTDIR= and PREFIX=; make fuzz FUZZ_SECONDS= FUZZ_TARGETS=\"a b\""
