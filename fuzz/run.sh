#!/bin/bash
# Fuzzes all parsers, with this number of executions each (default 20,000): libFuzzer's instrumentation and AddressSanitizer over
# crigc, as cargo-fuzz would build it. `fuzz/run.sh RUNS [target...]`. Starts from the corpora in fuzz/corpus; with KEEP=1 what it
# finds new is merged into them.
set -eu -o pipefail
cd "$(dirname "$0")/.."
runs=${1:-20000}
shift $(($# > 0))
targets=${*:-config kubelet_files durations records names answers}
host=$(rustc -vV | sed -n 's/^host: //p')
# What makes a stable compiler take the flags of sanitizers.
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Zsanitizer=address -Cdebug-assertions -Ccodegen-units=1"
# A few runs take less time than the compiler would.
[ "$runs" -gt 100000 ] || export CARGO_PROFILE_RELEASE_OPT_LEVEL=1
cargo build -q --release --manifest-path fuzz/Cargo.toml --target "$host" --target-dir target/fuzz
for target in $targets; do
    found=target/fuzz/corpus/$target
    mkdir -p "$found"
    log=target/fuzz/$target.log
    if ! "target/fuzz/$host/release/$target" "$found" "fuzz/corpus/$target" -runs="$runs" -max_len=4096 -timeout=20 \
        -rss_limit_mb=2048 -artifact_prefix="target/fuzz/$target-" -print_final_stats=1 >"$log" 2>&1; then
        tail -40 "$log"
        echo "fuzz $target: FAILED, see $log"
        exit 1
    fi
    done_=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
    covered=$(grep -o 'cov: [0-9]*' "$log" | tail -1)
    echo "fuzz $target: $done_ executions, $covered"
    if [ "${KEEP:-}" = 1 ]; then
        "target/fuzz/$host/release/$target" -merge=1 "fuzz/corpus/$target" "$found" >>"$log" 2>&1
    fi
done
