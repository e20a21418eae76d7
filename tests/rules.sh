#!/bin/bash
# Prints for each rule of docs/rules.md how many cases and random nodes exercised it, from lines `RULE case|node N` that the
# tests wrote; a rule with none fails.
set -u
rules="S0.1 S0.2 S0.3 S0.4 S0.5 S0.6 S0.7 S0.8 S0.9 S0.10 S0.11 S0.12 S1.1 S1.2 S1.3 S1.4 S1.5 S1.6 S1.7 S1.8 S1.9 S2.1 S2.2 S2.3
S2.4 S2.5 S2.6 S2.7 S3.1 S3.2 S3.3 S3.4 S4.1 S4.2 S4.3 S5.1 S5.2 S5.3 S5.4 S5.5 S5.6 S5.7 S5.8 S5.9 S5.10 S5.11 S5.12 S6.1 S6.2 S6.3 S6.4 S6.5 S7.1 S7.2 S7.3 S8"
with_nodes=" S0.4 S0.5 S0.12 S1.1 S1.4 S1.5 S1.6 S1.9 S3.2 S3.3 S4.1 S4.2 S4.3 S5.2 S5.3 S5.4 S5.6 S5.8 S5.10 S7.3 S8 "
echo "rule    cases   nodes"
missing=0
for rule in $rules; do
    cases=$(awk -v r="$rule" '$1 == r && $2 == "case" { n += $3 } END { print n + 0 }' "$1")
    nodes=$(awk -v r="$rule" '$1 == r && $2 == "node" { n += $3 } END { print n + 0 }' "$1")
    printf '%-6s %6d  %6d' "$rule" "$cases" "$nodes"
    if [ "$cases" = 0 ] || { [[ $with_nodes == *" $rule "* ]] && [ "$nodes" = 0 ]; }; then
        printf '   not exercised'
        missing=$((missing + 1))
    fi
    echo
done
[ "$missing" = 0 ] || { echo "$missing rules are not exercised"; exit 1; }
