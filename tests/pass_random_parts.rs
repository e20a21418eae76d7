//! Random nodes whose lists do not fit a message, against the same nodes where they do (S7.3).

#[path = "common/bench.rs"]
mod bench;
#[path = "common/dice.rs"]
mod dice;
#[path = "common/large.rs"]
mod large;
#[path = "common/random_node.rs"]
mod random_node;
#[path = "common/rules.rs"]
mod rules;

use bench::Bench;
use crigc::engine::Flags;
use dice::{Dice, nodes};
use random_node::{made, node, spared, start};
use rules::Rules;
use std::collections::BTreeSet;

/// All that is left, without the path of this run.
fn left(bench: &Bench) -> BTreeSet<String> {
    let top = bench.top.path().to_str().unwrap().to_owned();
    let all = bench.everything().into_iter();
    all.map(|name| name.replace(&top, "")).collect()
}

/// Where the lists do not fit a message, nothing goes that would stay if they did; and where the parts come to the whole, all goes
/// that would.
#[test]
fn s7_3_random_nodes_in_parts_lose_no_more_than_in_one_message() {
    let mut rules = Rules::default();
    let (mut whole, mut short) = (0, 0);
    for seed in nodes(50) {
        let dice = || Dice(seed + 3000);
        let mut own = Dice(seed);
        let percent = 15 + usize::try_from(own.roll(80)).unwrap();
        let keys = [
            ("maximum-dead-containers", own.of(&["-1", "3", "8"])),
            (
                "maximum-dead-containers-per-container",
                own.of(&["-1", "0", "1", "2"]),
            ),
        ];
        let flags = Flags {
            all_unused: own.one_in(3),
            ..Flags::default()
        };
        let size = large::size(made(&mut dice()));
        let fits = node(&mut dice());
        let expected = fits.collect(&keys, flags);
        let bench = {
            let mut dice = dice();
            let mut maker = made(&mut dice);
            maker.options.message_limit = size * percent / 100;
            start(&mut dice, maker)
        };
        let before = bench.server.state();
        let end = bench.collect(&keys, flags);
        let report = end.report.unwrap();
        spared(seed, &before, &bench, &report);
        let (there, fitting) = (left(&bench), left(&fits));
        let more: Vec<_> = fitting.difference(&there).collect();
        assert!(
            more.is_empty(),
            "node {seed} at {percent}% {keys:?} {flags:?} loses more: {more:#?}\n{:?}",
            end.error
        );
        if end.error == expected.error {
            assert_eq!(there, fitting, "node {seed} at {percent}%");
            whole += 1;
        } else {
            short += 1;
        }
        rules.node("S7.3");
    }
    println!("S7.3: {whole} random nodes came whole in parts, {short} did not");
    assert!(whole > 5 && short > 5, "{whole} {short}");
}
