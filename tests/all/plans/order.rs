//! Who has its turn when (S0.8).

use crigc::node::Text;
use crigc::plan::order::{Trouble, Turns, Unfinished, images, turns};
use crigc::plan::{Plan, Step};
use crigc::report::{Compared, Kind, Reason, Why};
use std::time::Duration;
use test_support::rules::Rules;

/// Tries of objects: ID, when, how it ended.
type Tries = [(&'static str, u64, Trouble)];

/// Six objects, a to f, after some tries.
fn after(kind: Kind, tries: &Tries) -> (Vec<Text>, Unfinished) {
    let mut unfinished = Unfinished::default();
    for (id, at, trouble) in tries {
        unfinished.tried(kind, &(*id).into(), Duration::from_secs(*at), *trouble);
    }
    let ids = ["a", "b", "c", "d", "e", "f"];
    (ids.map(Text::from).to_vec(), unfinished)
}

fn told(turns: &Turns<Text>) -> [String; 3] {
    [&turns.first, &turns.again, &turns.alone].map(|ids| ids.concat())
}

#[test]
fn s0_8_each_is_tried_once_before_one_that_did_not_end_is_tried_again() {
    use Trouble::{Failed, Lost, Silent};
    // The tries; which objects come first, which again, which alone.
    let cases: [(&Tries, [&str; 3]); 7] = [
        (&[], ["abcdef", "", ""]),
        (&[("a", 1, Silent), ("b", 2, Silent)], ["cdef", "ab", ""]),
        (
            &[("a", 3, Silent), ("b", 1, Failed), ("d", 2, Silent)],
            ["cef", "bda", ""],
        ),
        // The last try counts.
        (
            &[("a", 1, Silent), ("b", 2, Silent), ("a", 3, Failed)],
            ["cdef", "ba", ""],
        ),
        // Objects that are gone, and objects that never existed.
        (&[("x", 1, Lost)], ["abcdef", "", ""]),
        (
            &[("a", 4, Lost), ("b", 3, Lost), ("c", 2, Silent)],
            ["def", "c", "ba"],
        ),
        // Objects that were tried since come behind them.
        (
            &[("a", 4, Lost), ("b", 3, Lost), ("c", 9, Silent)],
            ["def", "", "bac"],
        ),
    ];
    for (tries, want) in cases {
        let (ids, unfinished) = after(Kind::Container, tries);
        let turns = turns(ids, Kind::Container, |id| id, &unfinished);
        assert_eq!(told(&turns), want, "{tries:?}");
    }
}

#[test]
fn s0_8_s5_4_only_images_without_an_answer_come_last() {
    use Trouble::{Failed, Lost, Silent};
    let cases: [(&Tries, [&str; 3]); 5] = [
        (&[], ["abcdef", "", ""]),
        (&[("a", 1, Failed), ("c", 2, Failed)], ["abcdef", "", ""]),
        (
            &[("a", 2, Silent), ("b", 3, Failed), ("c", 1, Silent)],
            ["bdef", "ca", ""],
        ),
        (&[("e", 2, Lost), ("a", 1, Silent)], ["bcdf", "a", "e"]),
        (&[("e", 2, Lost), ("a", 3, Silent)], ["bcdf", "", "ea"]),
    ];
    for (tries, want) in cases {
        let (ids, unfinished) = after(Kind::Image, tries);
        let turns = images(ids, |id| id, &unfinished);
        assert_eq!(told(&turns), want, "{tries:?}");
    }
}

/// Ten at a time are given up: with h that hang at the head, those behind are tried by pass h / 10 + 1.
#[test]
fn s0_8_those_behind_what_hangs_have_their_turn_after_a_tenth_as_many_passes() {
    for hanging in [0, 1, 9, 10, 11, 20, 25, 60] {
        let all: Vec<Text> = (0..hanging + 3).map(|n| format!("{n}").into()).collect();
        let mut unfinished = Unfinished::default();
        let mut tried: Vec<Text> = Vec::new();
        for _ in 1..=hanging / 10 + 1 {
            let turns = turns(all.clone(), Kind::Container, |id| id, &unfinished);
            let mut silent = 0;
            for id in turns.first.into_iter().chain(turns.again) {
                if silent == 10 {
                    break;
                }
                if id.parse::<usize>().unwrap() < hanging {
                    silent += 1;
                    let now = Duration::from_secs(tried.len() as u64);
                    unfinished.tried(Kind::Container, &id, now, Trouble::Silent);
                }
                tried.push(id);
            }
        }
        let behind = all[hanging..].iter().all(|id| tried.contains(id));
        assert!(behind, "{hanging} hang: {tried:?}");
    }
}

/// Objects in flight when a connection was lost are not kept for ever behind ten that hang in each pass.
#[test]
fn s0_8_what_was_lost_has_its_turn_however_many_hang() {
    for hanging in [10, 12, 25] {
        let all: Vec<Text> = (0..hanging + 2).map(|n| format!("{n}").into()).collect();
        let mut unfinished = Unfinished::default();
        for (n, id) in all.iter().enumerate() {
            let trouble = if n < hanging {
                Trouble::Silent
            } else {
                Trouble::Lost
            };
            let now = Duration::from_secs(n as u64);
            unfinished.tried(Kind::Container, id, now, trouble);
        }
        let mut now = Duration::from_secs(all.len() as u64);
        let mut tried: Vec<Text> = Vec::new();
        for _ in 0..=hanging / 10 + 1 {
            let turns = turns(all.clone(), Kind::Container, |id| id, &unfinished);
            let mut silent = 0;
            let in_turn = turns
                .first
                .into_iter()
                .chain(turns.again)
                .chain(turns.alone);
            for id in in_turn {
                if silent == 10 {
                    break;
                }
                now += Duration::from_secs(1);
                if id.parse::<usize>().unwrap() < hanging {
                    silent += 1;
                    unfinished.tried(Kind::Container, &id, now, Trouble::Silent);
                }
                tried.push(id);
            }
        }
        let lost = all[hanging..].iter().all(|id| tried.contains(id));
        assert!(lost, "{hanging} hang: {tried:?}");
    }
}

#[test]
fn s0_8_objects_that_are_gone_are_forgotten() {
    let hours = |n: u64| Duration::from_secs(n * 3600);
    let id = Text::from("c");
    let mut unfinished = Unfinished::default();
    let fill = |unfinished: &mut Unfinished| {
        unfinished.tried(Kind::Container, &id, hours(1), Trouble::Lost);
        unfinished.asked_in_vain(&id, hours(1));
        assert_eq!(unfinished.stops(&id, hours(1)), Duration::ZERO);
    };
    fill(&mut unfinished);
    // S2.3: the first try of a stop counts.
    assert_eq!(unfinished.stops(&id, hours(3)), hours(2));
    unfinished.keep_only(Kind::Container, |_| true);
    unfinished.keep_only(Kind::Sandbox, |_| false);
    unfinished.forget_old(hours(24 * 7));
    assert!(unfinished.was_tried(Kind::Container, &id));
    assert!(!unfinished.was_tried(Kind::Sandbox, &id));
    unfinished.removed(Kind::Container, &id);
    assert!(unfinished.is_empty());
    fill(&mut unfinished);
    unfinished.keep_only(Kind::Container, |id| &**id != "c");
    assert!(unfinished.is_empty());
    fill(&mut unfinished);
    unfinished.forget_old(hours(24 * 7 + 1));
    assert!(unfinished.is_empty());
}

/// A second plan over objects that were put off only takes removals away.
#[test]
fn s0_8_an_object_that_was_put_off_is_removed_for_its_reason_then() {
    let mut rules = Rules::default();
    use Reason::{Age, Changed, PodRemoved, PodTerminated, TotalLimit, UnitLimit};
    // A removal for this reason, and whether it rests on the host's answer about the pod.
    let (unit, total) = ((UnitLimit, false), (TotalLimit, false));
    let (gone, ended) = ((PodRemoved, true), (PodTerminated, true));
    let (old, old_and_ended) = ((Age, false), (Age, true));
    // Then, now, and what becomes of it: `None` = it is kept.
    let cases = [
        (None, unit, Some(unit)),
        (None, gone, Some(gone)),
        (Some(unit), unit, Some(unit)),
        (Some(total), unit, Some(total)),
        (Some(unit), gone, Some(unit)),
        (Some(gone), gone, Some(gone)),
        (Some(gone), ended, Some(ended)),
        (Some(gone), unit, None),
        (Some(ended), total, None),
        (Some(old), old_and_ended, Some(old)),
        (Some(old_and_ended), old_and_ended, Some(old_and_ended)),
        (Some(old_and_ended), gone, Some(gone)),
        (Some(old_and_ended), old, None),
        (Some(old_and_ended), unit, None),
    ];
    for (index, (then, now, want)) in cases.into_iter().enumerate() {
        let object = &index;
        let step = |(reason, rests_on_pod)| {
            vec![Step {
                object,
                reason,
                compared: Compared::Nothing,
                rests_on_pod,
            }]
        };
        let mut plan = Plan {
            remove: step(now),
            keep: vec![],
        };
        let then_why = then.map(|(reason, rests_on_pod)| (Why::from(reason), rests_on_pod));
        plan.stand_by(|at| then_why.clone().filter(|_| *at == index));
        let (remove, keep) = match want {
            Some(want) => (step(want), vec![]),
            None => (vec![], step((Changed, false))),
        };
        assert_eq!(plan, Plan { remove, keep }, "{then:?} {now:?}");
        rules.case("S0.8");
    }
}
