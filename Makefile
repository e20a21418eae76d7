# `make run` shows crigc at work, `make test` tests everything; the other targets are for developers.
.DEFAULT_GOAL := agent

.PHONY: help
help:
	@printf '%s\n' \
	    'make run         shows a simulated node, then collects it; ENDPOINT=unix://... looks at a real one' \
	    'make node        keeps that simulated node running, to try programs on it' \
	    'make library     builds target/library/libcrigc.a and libcrigc.so' \
	    'make install     installs them with headers and pages; PREFIX, LIBDIR and DESTDIR as usual' \
	    'make uninstall   removes what `make install` installed' \
	    'make dist        packs what would be installed as target/dist/crigc-*.tar.gz' \
	    'make agent       builds target/agent, a node agent' \
	    'make image       packs the agent as a container image' \
	    'make test        runs all tests; `make check` those that take two minutes' \
	    'make bench       measures crigc beside the code of the kubelet' \
	    'All others are explained in the Makefile.'

TARGET := $(or $(CARGO_TARGET_DIR),target)
# What people link: libcrigc.a, and libcrigc.so beside it.
LIBRARY := $(TARGET)/library/libcrigc.a
.PHONY: library
library:
	packaging/library.sh

include examples-c/run.mk

.PHONY: check test test-containerd2 test-crictl generate lint clean
# Before each commit: two minutes at most where the tree is built. Installs nothing and needs no root: without CI=true the tests that do
# need it say that they were skipped. What takes longer is left to `make test`: the module `slow`, and all other packages and test binaries.
# These tests wait more than they compute: two at once for each processor.
check: lint
	CI= cargo test -q -p crigc --lib --test all -- --test-threads $$((2 * $$(nproc))) --skip slow::

test:
	tests/run.sh

# The tests of a real containerd with the newest containerd 2 and with the last 2.1, and crisim under crictl: all built from their Go modules.
test-containerd2: library
	for name in containerd2 containerd21; do \
	    ffi-tests/containerd2.sh $$name && \
	    PATH="$(CURDIR)/target/$$name:$$PATH" CI=true cargo test -q -p ffi-tests --features slow-tests --test real_runtime \
	        --test image_space --test crisim_answers || exit 1; \
	done

# The same with a CRI-O, built from its Go module; it installs what that needs of Debian.
.PHONY: test-crio
test-crio: library
	ffi-tests/crio.sh
	PATH="$(CURDIR)/target/crio:$$PATH" CRIGC_TEST_RUNTIME=crio CI=true cargo test -q -p ffi-tests --features slow-tests --test real_runtime --test crisim_answers

# A real kubelet with crigc inside, built as go/KUBELET.md says, beside one without, each on a containerd 2 of its own: forty minutes,
# as root.
.PHONY: test-kubelet-node
test-kubelet-node: library
	ffi-tests/containerd2.sh containerd2
	go/kubelet-node/build.sh
	PATH="$(CURDIR)/target/containerd2:$$PATH" CI=true cargo test -q -p ffi-tests --features slow-tests --test kubelet_node -- --nocapture

# The kubelet's own node tests, with crigc inside the kubelet and without it; hours, as root. E2E_GROUPS="containers images" runs these
# groups of ffi-tests/tests/e2e_node.rs alone.
E2E_GROUPS ?= containers images logs pods pressure evictions
.PHONY: test-e2e-node
test-e2e-node: library
	ffi-tests/containerd2.sh containerd2
	go/kubelet-node/build.sh
	ffi-tests/e2e-node/build.sh
	PATH="$(CURDIR)/target/containerd2:$$PATH" CI=true CRIGC_E2E_GROUPS="$(E2E_GROUPS)" \
	    cargo test -q -p ffi-tests --features slow-tests --test e2e_node -- --nocapture

test-crictl:
	ffi-tests/crictl.sh

# crigc beside the kubelet's own code, 10,000 random nodes for each release, and each rule broken on purpose.
SEEDS ?= 0..10000
.PHONY: test-kubelet test-mutations lint-go
test-kubelet: library crisim
	CRIGC_SEEDS=$(SEEDS) go test -C go/comparison/latest -count=1 -timeout 2h -v -run TestSameDecisions .
	CRIGC_SEEDS=$(SEEDS) go test -C go/comparison/oldest -count=1 -timeout 2h -v -run TestSameDecisions .

# How long pods take to start on a real containerd while it is collected. Needs root, containerd, runc, Go and a quiet machine.
# POD_STARTS="--objects images" and the like; `target/release/pod-starts run --help` names all options.
POD_STARTS ?=
.PHONY: pod-starts
pod-starts: library
	mkdir -p target/pod-starts
	$(CC) $(CFLAGS) $(C_STRICT) -Iinclude benches/pod-starts/collect.c $(LIBRARY) -Wl,--gc-sections -o target/pod-starts/collect
	go build -C go/comparison/latest -o $(CURDIR)/target/pod-starts/kubelet ./cmd/pod-starts-kubelet
	cargo build -q --release -p pod-starts
	target/release/pod-starts run $(POD_STARTS)

test-mutations: crisim
	go/comparison/mutations.sh

# crigc beside the kubelet's own code and crictl; writes docs/benchmark-results.md, the picture, and the tables in docs/benchmarks.md and
# the README.
# About 40 minutes; QUICK=1 prints a few rows in a few minutes. BENCH has more of the program's flags, such as --only images.
QUICK ?=
BENCH ?=
.PHONY: bench
bench:
	benches/run.sh $(if $(QUICK),--quick) $(BENCH)

# Periodic passes for ten minutes against a node that keeps changing and failing.
.PHONY: soak
soak: library
	CRIGC_STATIC_LIBRARY=$(CURDIR)/$(LIBRARY) CRIGC_SOAK_SECONDS=600 cargo test -q -p ffi-tests --test soak -- --nocapture

# Everything that parses, a million executions each; CI runs 20,000. KEEP=1 merges what is found into the corpora.
RUNS ?= 1000000
.PHONY: fuzz
fuzz:
	fuzz/run.sh $(RUNS)

lint-go: library
	go/lint.sh

# Writes anew what tests compare with the code: the header, docs/configuration.md, docs/reasons.md, the notices and the bill of materials; adds what is
# new in the header to ffi-tests/abi.txt.
generate:
	CRIGC_GENERATE=1 cargo test -q -p crigc --test all _fresh
	CRIGC_GENERATE=1 cargo test -q -p ffi-tests --test abi the_binary_interface_is_kept

# PREFIX, LIBDIR, INCLUDEDIR, DATADIR and DESTDIR say where to. `make install` takes what `make library` built, and
# neither builds nor fetches anything.
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share
DESTDIR ?=
# Not exported to all that runs here: tests install, too.
PLACES = PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' INCLUDEDIR='$(INCLUDEDIR)' DATADIR='$(DATADIR)' DESTDIR='$(DESTDIR)'
.PHONY: install uninstall dist docs
install:
	$(PLACES) packaging/install.sh install

uninstall:
	@$(PLACES) packaging/install.sh uninstall

# An archive of what is installed, for this architecture, with checksums and a bill of materials.
dist: library
	packaging/dist.sh

# Two builds in two folders give the same archive.
.PHONY: test-dist
test-dist:
	packaging/reproducible.sh

# The header as HTML (target/docs/html) and as the man page packaging/crigc.3; needs doxygen.
docs:
	packaging/docs.sh

include deploy/deploy.mk

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features ffi-tests/slow-tests -- -D warnings

# Builds everything with the oldest Rust that Cargo.toml promises; rustup fetches it where it is not installed.
MSRV = $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
.PHONY: msrv
msrv:
	rustup toolchain install --profile minimal $(MSRV)
	RUSTUP_TOOLCHAIN=$(MSRV) cargo check --locked --workspace --all-targets

# Licences, bans and sources of all that is built, by deny.toml; needs cargo-deny (`cargo install cargo-deny --locked`), and no network.
.PHONY: deny
deny:
	cargo deny --offline --locked check bans licenses sources

clean:
	cargo clean
