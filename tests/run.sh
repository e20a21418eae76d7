#!/bin/bash
# Everything that CI checks. Installs the Debian packages it needs where it may; where it may not, the tests that need them
# say that they were skipped (with CI=true they fail instead). Ends with `N passed, N failed, N skipped`.
set -u -o pipefail
cd "$(dirname "$0")/.."
unset CARGO_TARGET_DIR # tests know where things are in the tree
log=$(mktemp)
export CRIGC_RULES=$(mktemp)
trap 'rm -f "$log" "$CRIGC_RULES"' EXIT
failed_steps=0

. tests/need.sh

step() { # name command...
    local name=$1 began=$SECONDS
    shift
    echo "=== $name"
    if ! "$@" 2>&1 | tee -a "$log"; then
        echo "FAILED: $name"
        failed_steps=$((failed_steps + 1))
    fi
    echo "$name took $((SECONDS - began)) s"
}

need valgrind valgrind
need clang clang
need containerd containerd
need runc runc
need setpriv util-linux
need strace strace
need promtool prometheus
need mount mount
need script bsdutils
need pkg-config pkg-config
need cmake cmake
need ld.lld lld
need /usr/bin/rustc rustc
need python3 python3
python3 -c 'import ensurepip' 2>/dev/null || need python-with-venv python3-venv
[ -e "$(clang -print-file-name="libclang_rt.asan-$(uname -m).a")" ] || need sanitizers-of-clang libclang-rt-dev
need doxygen doxygen
need buildah buildah
need systemd-analyze systemd
need capsh libcap2-bin
[ -e /usr/share/i18n/locales/ps_AF ] || need sources-of-locales locales

step "format" cargo fmt --all --check
step "clippy" cargo clippy -q --workspace --all-targets --features ffi-tests/slow-tests -- -D warnings
step "library" make --no-print-directory library
export CRIGC_STATIC_LIBRARY=$PWD/target/library/libcrigc.a
step "agent" make --no-print-directory agent
# Each package by itself: features of the simulator must not reach the library.
# They wait more than they compute: two at once for each processor.
step "tests of the library" cargo test -q -p crigc --no-fail-fast -- --nocapture --test-threads $((2 * $(nproc)))
step "tests of panics" cargo test -q -p panic-tests --no-fail-fast -- --nocapture
step "tests of crisim" cargo test -q -p crisim --no-fail-fast -- --nocapture
step "tests of the C interface" cargo test -q -p ffi-tests --no-fail-fast -- --nocapture
step "fuzz" fuzz/run.sh 20000
says_what_it_builds() {
    make --no-print-directory run | tee /dev/stderr | grep -c '^== building' | grep -qx 2
}
step "make run" says_what_it_builds
step "the Go package, and the kubelet's own code" go/test.sh
step "rules" tests/rules.sh "$CRIGC_RULES"

count() { # word: the sum of cargo's numbers before it
    grep '^test result:' "$log" | grep -o "[0-9]* $1" | awk '{ n += $1 } END { print n + 0 }'
}
of_go() { # word: tests of Go that ended so
    grep -c "^ *--- $1: " "$log"
}
passed=$(($(count passed) + $(of_go PASS)))
failed=$(($(count failed) + $(of_go FAIL) + failed_steps))
# The dots of cargo's progress may stand in front of it.
skipped=$(($(count ignored) + $(grep -c 'skipped: ' "$log")))
grep -o 'skipped: .*' "$log" | sort | uniq -c
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
