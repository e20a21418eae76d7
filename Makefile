# `make run` shows crigc at work, `make test` tests everything; the other targets are for developers.
.DEFAULT_GOAL := agent
include examples-c/run.mk

.PHONY: test test-containerd2 test-crictl generate lint clean
test:
	tests/run.sh

# The tests of a real containerd with a containerd 2, and crisim under crictl: both built from their Go modules.
test-containerd2:
	ffi-tests/containerd2.sh

test-crictl:
	ffi-tests/crictl.sh

# Writes include/crigc.h and CONFIGURATION.md anew.
generate:
	CRIGC_GENERATE=1 cargo test -q -p crigc --test generated

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

clean:
	cargo clean
