//! S5.6, S5.8, S5.9, S5.11: when images are removed for space, and when enough is free. Tables whose rows read like their rules.

use crigc::node::FsUsage;
use crigc::plan::images::Goal;
use crigc::plan::space::{
    Growth, Limits, Missing, NoFigures, Wanted, causes, fuller, growth, is_another, space_goal,
    too_little,
};
use crigc::plan::tally::{Counting, Ending, Tally, ending, in_vain};
use test_support::rules::Rules;

const LIMITS: Limits = Limits {
    high: 85,
    low: 80,
    min_available: None,
    inodes: false,
};
/// For the low threshold of 80.
const THRESHOLD: Wanted = Wanted {
    threshold: Some(80),
    minimum: None,
    inodes: None,
};
const INODES: Wanted = Wanted {
    threshold: None,
    minimum: None,
    inodes: Some(80),
};
const NOTHING: Missing = bytes(0);

const fn usage(capacity: u64, available: u64) -> FsUsage {
    FsUsage {
        capacity,
        available,
        inodes: 0,
        inodes_free: 0,
    }
}

const fn bytes(bytes: u64) -> Missing {
    Missing { bytes, inodes: 0 }
}

const fn grown(bytes: u64, inodes: u64) -> Growth {
    Growth { bytes, inodes }
}

/// Of a pass that has to free so many bytes.
fn tally(wanted: u64, counting: Counting) -> Tally {
    Tally::new(&Goal::Free(THRESHOLD), bytes(wanted), counting)
}

/// So many bytes are freed.
fn removed(tally: &mut Tally, bytes: u64) {
    tally.started(bytes);
    tally.ended(bytes, true);
}

/// What a goal lacks by these figures; `None` = nothing is removed.
fn missing(goal: Goal, figures: &FsUsage) -> Option<Missing> {
    match goal {
        Goal::Free(wanted) => Some(wanted.missing(figures).unwrap()),
        Goal::BelowThreshold => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn s5_6_thresholds_are_the_kubelets() {
    let mut rules = Rules::default();
    // Available of a capacity, high, low, and the bytes that have to be freed.
    let cases = [
        (usage(100, 16), 85, 80, None),
        (usage(100, 15), 85, 80, Some(5)),
        (usage(1000, 159), 85, 80, Some(41)),
        (usage(1000, 160), 85, 80, None),
        (usage(100, 200), 85, 80, None),
        (usage(u64::MAX, 0), 85, 80, Some(u64::MAX / 5)),
        (usage(100, 0), 100, 80, Some(20)),
        (usage(100, 1), 100, 80, None),
        (usage(100, 50), 50, 0, Some(50)),
        (usage(100, 51), 50, 0, None),
        (usage(100, 100), 1, 0, None),
        // Nothing is missing, but the threshold is reached.
        (usage(199, 29), 86, 85, Some(0)),
    ];
    for (figures, high, low, want) in cases {
        rules.case("S5.6");
        let limits = Limits {
            high,
            low,
            ..LIMITS
        };
        let goal = space_goal(&figures, &limits).unwrap();
        let want = want.map(bytes);
        assert_eq!(missing(goal, &figures), want, "{figures:?} {high} {low}");
    }
    assert_eq!(space_goal(&usage(0, 0), &LIMITS), Err(NoFigures));
    assert_eq!(space_goal(&usage(0, 7), &LIMITS), Err(NoFigures));
}

/// 20 GiB of a disk of 2 TiB are its last percent, which the high threshold of 100 counts as full.
#[test]
fn s5_6_a_minimum_of_available_bytes_is_a_goal_of_its_own() {
    const GIB: u64 = 1 << 30;
    let mut rules = Rules::default();
    // Capacity, available, high, the minimum, and what has to be freed, in GiB.
    let cases = [
        (2048, 21, 100, 20, None),
        (2048, 20, 100, 20, None),
        (2048, 19, 100, 20, Some(1)),
        (2048, 0, 100, 20, Some(20)),
        // Both, and the larger goal counts.
        (100, 10, 85, 15, Some(10)),
        (100, 10, 85, 30, Some(20)),
        // One of them.
        (100, 10, 85, 5, Some(10)),
        (100, 20, 85, 30, Some(10)),
        (100, 30, 85, 30, None),
        // As many as there are.
        (100, 99, 85, 100, Some(1)),
        (100, 100, 85, 100, None),
        // More than there are: only the threshold counts.
        (100, 50, 85, 101, None),
        (100, 10, 85, 101, Some(10)),
        (100, 0, 100, 101, None),
    ];
    for (capacity, available, high, least, want) in cases {
        rules.case("S5.6");
        let limits = Limits {
            high,
            min_available: Some(least * GIB),
            ..LIMITS
        };
        let figures = usage(capacity * GIB, available * GIB);
        let goal = space_goal(&figures, &limits).unwrap();
        let what = format!("{capacity} {available} {high} {least}");
        let want = want.map(|gib| bytes(gib * GIB));
        assert_eq!(missing(goal, &figures), want, "{what}");
        let out_of_reach = Some(least * GIB).filter(|_| least > capacity);
        assert_eq!(limits.out_of_reach(&figures), out_of_reach, "{what}");
    }
    assert_eq!(LIMITS.out_of_reach(&usage(0, 0)), None);
}

#[test]
fn s5_11_inodes_have_the_thresholds_of_bytes() {
    let mut rules = Rules::default();
    // Free of 1000 inodes, and how many have to be freed.
    let cases = [
        (160, None),
        (159, Some(41)),
        (30, Some(170)),
        (0, Some(200)),
        (2000, None),
    ];
    for (inodes_free, want) in cases {
        let inodes = 1000;
        for available in [1000, 100] {
            rules.case("S5.11");
            let figures = FsUsage {
                inodes,
                inodes_free,
                ..usage(1000, available)
            };
            let limits = Limits {
                inodes: true,
                ..LIMITS
            };
            let short_of_bytes = if available == 100 { 100 } else { 0 };
            let both = (short_of_bytes > 0 || want.is_some()).then_some(Missing {
                bytes: short_of_bytes,
                inodes: want.unwrap_or(0),
            });
            let goal = space_goal(&figures, &limits).unwrap();
            assert_eq!(missing(goal, &figures), both, "{figures:?}");
            // Without the key they do not count.
            let goal = space_goal(&figures, &LIMITS).unwrap();
            let want = (short_of_bytes > 0).then_some(bytes(short_of_bytes));
            assert_eq!(missing(goal, &figures), want, "{figures:?}");
        }
    }
    // Unknown, and one of which nothing is missing by rounding.
    let limits = Limits {
        high: 86,
        low: 85,
        inodes: true,
        ..LIMITS
    };
    for (inodes, inodes_free) in [(0, 0), (0, 9), (199, 29)] {
        rules.case("S5.11");
        let figures = FsUsage {
            inodes,
            inodes_free,
            ..usage(1000, 1000)
        };
        assert_eq!(space_goal(&figures, &limits), Ok(Goal::BelowThreshold));
    }
}

#[test]
fn s5_8_enough_is_what_the_low_threshold_asks_for() {
    let mut rules = Rules::default();
    // Capacity, available, the low threshold, and what is missing by these figures.
    let table = [
        (1000, 199, 80, Ok(1)),
        (1000, 200, 80, Ok(0)),
        (1000, u64::MAX, 80, Ok(0)),
        (999, 198, 80, Ok(1)),
        (999, 199, 80, Ok(0)),
        (0, 0, 80, Err(NoFigures)),
        (0, 500, 80, Err(NoFigures)),
        (1000, 999, 0, Ok(1)),
        (u64::MAX, u64::MAX / 5, 80, Ok(0)),
    ];
    for (capacity, available, low, want) in table {
        rules.case("S5.8");
        let wanted = Wanted {
            threshold: Some(low),
            ..Wanted::default()
        };
        let told = wanted.missing(&usage(capacity, available));
        assert_eq!(told, want.map(bytes), "{capacity}, {available}, {low}");
    }
}

#[test]
fn s5_8_no_more_images_go_than_are_needed() {
    let mut rules = Rules::default();
    let mut ten = tally(10, Counting::Reported);
    ten.started(6);
    assert!(ten.may_start(), "6 of 10 in flight");
    ten.started(6);
    assert!(!ten.may_start(), "12 of 10 in flight");
    ten.ended(6, false);
    assert!(
        ten.may_start(),
        "a failed one counts nothing, the next takes its place"
    );
    ten.ended(6, true);
    assert_eq!((ten.freed(), ten.satisfied()), (6, false), "S5.9");
    assert_eq!(ten.shortfall(), Some(bytes(4)), "S5.9");
    removed(&mut ten, 4);
    assert!(ten.satisfied() && !ten.may_start());
    let mut none = tally(0, Counting::Reported);
    assert!(
        none.may_start(),
        "the threshold is reached, so one is removed; only then is it checked whether that was enough"
    );
    none.started(5);
    assert!(!none.may_start());
    none.ended(5, false);
    assert!(none.may_start(), "a failed one counts nothing");
    removed(&mut none, 0);
    assert_eq!((none.may_start(), none.shortfall()), (false, None));
    let mut all = Tally::new(&Goal::AllUnused, NOTHING, Counting::Reported);
    all.started(0);
    assert_eq!((all.may_start(), all.shortfall()), (true, None), "S5.10");
    // If enough is free no more is wanted, whatever the sizes are, and an image without a size is removed alone.
    let mut hundred = tally(100, Counting::Reported);
    hundred.started(0);
    assert!(!hundred.may_start() && !hundred.satisfied());
    assert_eq!(hundred.still_needed([0, 0].into_iter()), 0);
    hundred.ended(0, true);
    assert_eq!(hundred.still_needed([50, 0, 50].into_iter()), 2);
    assert_eq!(hundred.shortfall(), Some(bytes(100)));
    hundred.looked(0, NOTHING, grown(0, 0));
    assert!(!hundred.may_start() && hundred.satisfied());
    // It stays enough, though others fill the disk again.
    hundred.looked(0, bytes(50), grown(0, 0));
    assert!(!hundred.may_start() && hundred.satisfied());
    // An image that is still there does not count (S5.12).
    let mut hundred = tally(100, Counting::Reported);
    removed(&mut hundred, 100);
    assert!(!hundred.may_start());
    hundred.was_not_freed(100);
    assert_eq!((hundred.may_start(), hundred.freed()), (true, 0));
    for rule in ["S5.8", "S5.9", "S5.10"] {
        rules.case(rule);
    }
}

/// Two thirds of what is removed are layers that other images have, too: by their sizes it looks like enough, by the filesystem it is not.
#[test]
fn s5_8_measured_bytes_count_and_reported_ones_do_not() {
    let mut rules = Rules::default();
    let wants_more = |counting: Counting| {
        rules.case("S5.8");
        let mut tally = tally(300, counting);
        for left in [200, 100] {
            removed(&mut tally, 300);
            tally.looked(300, bytes(left), grown(100, 0));
        }
        (tally.may_start(), tally.shortfall())
    };
    let told = [Counting::DryRun, Counting::Reported, Counting::Measured].map(wants_more);
    let enough = (false, None);
    assert_eq!(told, [enough, enough, (true, Some(bytes(100)))]);
    // One at a time: of several in flight the figures do not say which one freed what.
    let mut measured = tally(300, Counting::Measured);
    measured.started(200);
    assert!(!measured.may_start());
    measured.ended(200, true);
    measured.looked(200, bytes(150), grown(150, 0));
    assert!(measured.may_start());
    measured.started(100);
    measured.ended(100, true);
    // What others write counts as well.
    measured.looked(100, bytes(400), grown(0, 0));
    assert_eq!(measured.shortfall(), Some(bytes(400)));
    measured.looked(100, NOTHING, grown(400, 0));
    assert!(measured.satisfied() && !measured.may_start());
    // The figures decide, whatever is still listed.
    measured.was_not_freed(100);
    assert!(measured.satisfied());
    // Without figures the sizes count.
    let mut blind = tally(300, Counting::Measured);
    removed(&mut blind, 200);
    blind.saw_no_figures(200);
    assert_eq!(blind.shortfall(), Some(bytes(100)));
    for _ in 0..9 {
        removed(&mut blind, 1);
        blind.saw_no_figures(1);
    }
    assert!(blind.may_start(), "no figures are no sign");
}

#[test]
fn s5_8_a_quarter_of_the_size_shows_that_an_image_is_gone() {
    let mut rules = Rules::default();
    let missing_bytes = bytes(9000);
    let inodes = Missing {
        bytes: 0,
        inodes: 9000,
    };
    let both = Missing {
        inodes: 9000,
        ..missing_bytes
    };
    // The reported size, how much more there is, what was missing, and whether that is a sign.
    let table = [
        (100, grown(25, 0), missing_bytes, true),
        (100, grown(24, 9), missing_bytes, false),
        (101, grown(25, 0), missing_bytes, false),
        (3, grown(1, 0), missing_bytes, true),
        (0, grown(1, 0), missing_bytes, true),
        (0, grown(0, 0), missing_bytes, false),
        (u64::MAX, grown(u64::MAX / 4, 0), missing_bytes, false),
        (u64::MAX, grown(u64::MAX / 2, 0), missing_bytes, true),
        (100, grown(99, 0), inodes, false),
        (100, grown(0, 1), inodes, true),
        (100, grown(24, 1), both, true),
        (100, grown(25, 0), both, true),
        (100, grown(24, 0), both, false),
        (100, grown(100, 1), NOTHING, false),
    ];
    for (size, growth, missing, want) in table {
        rules.case("S5.8");
        let told = growth.shows(size, missing);
        assert_eq!(told, want, "{size}, {growth:?}, {missing:?}");
    }
}

#[test]
fn s5_8_five_removals_in_a_row_without_effect_are_the_last() {
    let mut rules = Rules::default();
    // What each removal of 100 bytes shows, and whether one more is removed after the last.
    let table: [(&[u64], bool); 7] = [
        (&[0; 4], true),
        (&[0; 5], false),
        (&[24; 5], false),
        (&[25, 0, 0, 0, 0], true),
        (&[0, 0, 0, 0, 25], true),
        (&[0, 0, 25, 0, 0, 0, 0], true),
        (&[0, 0, 25, 0, 0, 0, 0, 0], false),
    ];
    for (shown, goes_on) in table {
        rules.case("S5.8");
        let [mut measured, mut reported] =
            [Counting::Measured, Counting::Reported].map(|counting| tally(10_000, counting));
        for bytes_grown in shown {
            for tally in [&mut measured, &mut reported] {
                removed(tally, 100);
                tally.looked(100, bytes(10_000), grown(*bytes_grown, 0));
            }
        }
        assert_eq!(measured.may_start(), goes_on, "{shown:?}");
        assert_eq!(measured.is_in_vain(), !goes_on, "{shown:?}");
        assert!(reported.may_start() && !reported.is_in_vain(), "{shown:?}");
    }
    // Others freed what was wanted.
    let mut enough = tally(100, Counting::Measured);
    for _ in 0..9 {
        enough.looked(100, bytes(100), grown(0, 0));
    }
    enough.looked(100, NOTHING, grown(0, 0));
    assert!(!enough.is_in_vain() && enough.satisfied());
    assert!(in_vain(bytes(1)).contains("a quarter"));
}

#[test]
fn s5_11_inodes_are_counted_by_the_filesystem_alone() {
    let mut rules = Rules::default();
    let short_of = |bytes, inodes| Missing { bytes, inodes };
    for counting in [Counting::Reported, Counting::Measured] {
        rules.case("S5.11");
        let mut tally = Tally::new(&Goal::Free(INODES), short_of(0, 100), counting);
        assert!(tally.may_start() && tally.waits_for_figures());
        tally.started(1 << 40);
        assert!(!tally.may_start(), "nobody knows how many it frees");
        assert_eq!(tally.still_needed([1, 1].into_iter()), 0);
        tally.ended(1 << 40, true);
        tally.looked(1 << 40, short_of(0, 1), grown(0, 99));
        assert_eq!(tally.still_needed([1, 1].into_iter()), 1);
        removed(&mut tally, 1);
        tally.looked(1, short_of(0, 0), grown(0, 1));
        assert!(!tally.may_start() && tally.satisfied());
        // Inodes that do not move.
        let mut tally = Tally::new(&Goal::Free(INODES), short_of(0, 100), counting);
        for n in 0..5 {
            assert!(tally.may_start(), "{n}");
            removed(&mut tally, 1);
            match n {
                0 => tally.saw_no_figures(1),
                _ => tally.looked(1, short_of(0, 100), grown(1 << 40, 0)),
            }
        }
        assert!(!tally.may_start() && tally.is_in_vain());
        assert_eq!(tally.shortfall(), Some(short_of(0, 100)));
    }
    // Bytes by sizes, and inodes by figures: both have to be reached, and bytes go on where inodes do not move.
    let both = Wanted {
        threshold: Some(80),
        ..INODES
    };
    let mut tally = Tally::new(&Goal::Free(both), short_of(800, 100), Counting::Reported);
    for n in 0..7 {
        assert!(tally.may_start(), "{n}");
        removed(&mut tally, 100);
        tally.looked(100, short_of(800, 100), grown(0, 0));
    }
    removed(&mut tally, 100);
    tally.looked(100, short_of(800, 60), grown(0, 40));
    assert!(tally.may_start(), "they moved at last");
    assert_eq!(tally.shortfall(), Some(short_of(0, 60)));
    // A dry run does not know: it goes to the end of the list, and nothing is missing then.
    let mut dry = Tally::new(&Goal::Free(INODES), short_of(0, 100), Counting::DryRun);
    for _ in 0..100 {
        assert!(dry.may_start() && !dry.waits_for_figures());
        removed(&mut dry, 1 << 40);
    }
    assert!(dry.satisfied());
}

#[test]
fn s5_8_a_filesystem_has_settled_when_it_shows_an_image_and_nothing_more_comes() {
    let mut rules = Rules::default();
    // 1000 bytes are missing, and an image of 400 was removed: available at the look before this one and at this, and whether the wait ends.
    let table = [
        (0, 0, false),
        (0, 99, false),
        (99, 99, false),
        (0, 100, false),
        (100, 100, true),
        (100, 101, false),
        (400, 400, true),
        // Others write.
        (300, 200, true),
        (300, 50, false),
        // All that was wanted.
        (0, 1000, true),
        (0, 5000, true),
    ];
    for (earlier, now, want) in table {
        rules.case("S5.8");
        let [before, earlier, now] = [0, earlier, now].map(|bytes| usage(5000, bytes));
        let told = THRESHOLD.has_settled(400, [&before, &earlier, &now]);
        assert_eq!(told, want, "{earlier:?}, {now:?}");
    }
    let none = usage(0, 0);
    assert!(THRESHOLD.has_settled(1, [&none; 3]), "no figures");
}

#[test]
fn s5_8_only_what_is_judged_by_figures_is_waited_for() {
    let mut rules = Rules::default();
    let inodes = Missing {
        bytes: 0,
        inodes: 1,
    };
    let table = [
        (THRESHOLD, bytes(1), [false, false, true]),
        (THRESHOLD, NOTHING, [false, false, false]),
        (INODES, inodes, [false, true, true]),
    ];
    for (wanted, missing, want) in table {
        rules.case("S5.8");
        let all = [Counting::DryRun, Counting::Reported, Counting::Measured];
        let waits =
            all.map(|how| Tally::new(&Goal::Free(wanted), missing, how).waits_for_figures());
        assert_eq!(waits, want, "{wanted:?}");
    }
}

#[test]
fn s5_9_how_a_pass_ends() {
    let mut rules = Rules::default();
    // Wanted, freed, removals failed, excused.
    let cases = [
        (10, 10, false, false, Ending::Settled),
        (10, 9, false, false, Ending::TooLittle(bytes(1))),
        (10, 9, false, true, Ending::Settled),
        (10, 9, true, false, Ending::RemovalsFailed),
        (10, 9, true, true, Ending::RemovalsFailed),
        (10, 10, true, false, Ending::RemovalsFailed),
    ];
    for (wanted, freed, failed, excused, want) in cases {
        let mut tally = tally(wanted, Counting::Reported);
        removed(&mut tally, freed);
        let told = ending(failed, excused, &tally);
        assert_eq!(told, want, "{wanted} {freed} {failed} {excused}");
        rules.case("S5.9");
    }
    let all = Tally::new(&Goal::AllUnused, NOTHING, Counting::Reported);
    assert_eq!(ending(false, false, &all), Ending::Settled);
}

#[test]
fn s5_11_a_filesystem_smaller_than_what_is_used_there_is_another() {
    let mut rules = Rules::default();
    for (used, want) in [(None, false), (Some(100), false), (Some(101), true)] {
        assert_eq!(is_another(&usage(100, 0), used), want, "{used:?}");
        rules.case("S5.11");
    }
}

#[test]
fn s5_11_fuller_filesystems_are_those_with_more_percent() {
    let mut rules = Rules::default();
    rules.case("S5.11");
    let first = usage(1000, 500);
    let others = [
        usage(0, 0),
        usage(10, 5),
        usage(100, 51),
        usage(100, 49),
        usage(9, 0),
    ];
    assert_eq!(fuller(&first, &others), [3, 4]);
    assert_eq!(fuller(&first, &others[..3]), [0; 0]);
    assert_eq!(fuller(&usage(0, 0), &others), [0; 0]);
}

/// S5.9: alerts match the words of the newest kubelet.
#[test]
fn s5_9_too_little_is_reported_in_the_words_of_the_newest_kubelet() {
    let mut rules = Rules::default();
    let cases = [
        (1000, 150, "(85% of 1000 B used)"),
        (2048, 0, "(100% of 2.0 KiB used)"),
        (7_301_444_403, 730_144_440, "(91% of 6.8 GiB used)"),
        (3 << 50, 1 << 50, "(67% of 3072.0 TiB used)"),
    ];
    for (capacity, available, used) in cases {
        let usage = usage(capacity, available);
        let told = too_little(&usage, &THRESHOLD, bytes(1), grown(112, 7));
        assert!(told.contains(used), "{told}");
        assert!(told.contains("(freed 112 bytes)"), "{told}");
        assert!(told.ends_with("or other data."), "{told}");
        assert!(
            !told.contains("inode") && !told.contains("image-gc"),
            "{told}"
        );
        rules.case("S5.9");
    }
}

/// S5.9: what the kubelet has no words for is said with numbers and the key.
#[test]
fn s5_9_too_few_inodes_or_less_than_the_minimum_is_said_with_numbers() {
    let mut rules = Rules::default();
    rules.case("S5.9");
    rules.case("S5.11");
    let figures = FsUsage {
        inodes: 65_536,
        inodes_free: 1_966,
        ..usage(1000, 60)
    };
    let short = |bytes, inodes| Missing { bytes, inodes };
    let told = too_little(&figures, &INODES, short(0, 10_141), grown(5, 1_000));
    assert_eq!(
        told,
        "Too few free inodes on the node's image filesystem (98% of 65536 used). Deleting unused images freed 1000 inodes, and 10141 more have to be free for image-gc-low-threshold (80). See which files use the inodes: active images, logs, volumes, or other data."
    );
    let all = Wanted {
        threshold: Some(80),
        minimum: Some(100),
        inodes: Some(80),
    };
    let told = too_little(&figures, &all, short(40, 10_141), grown(5, 1_000));
    let parts = [
        "(94% of 1000 B used)",
        "(freed 5 bytes)",
        "Before the pass 60 bytes were available, and image-gc-min-available asks for 100.",
        "Too few free inodes",
    ];
    let places = parts.map(|part| told.find(part).unwrap_or_else(|| panic!("{part}: {told}")));
    assert!(places.is_sorted(), "{told}");
    // What was reached is not named.
    let told = too_little(&figures, &all, short(0, 1), grown(5, 1_000));
    assert!(told.starts_with("Too few free inodes"), "{told}");
}

/// Why images are removed is in the log: the figures, the key and the goal.
#[test]
fn s5_6_each_limit_that_was_passed_is_named() {
    let mut rules = Rules::default();
    rules.case("S5.6");
    let figures = FsUsage {
        inodes: 1000,
        inodes_free: 30,
        ..usage(1 << 40, 1 << 30)
    };
    let limits = Limits {
        min_available: Some(20 << 30),
        inodes: true,
        ..LIMITS
    };
    let Ok(Goal::Free(wanted)) = space_goal(&figures, &limits) else {
        panic!("all are passed");
    };
    assert_eq!(
        causes(&figures, &limits, &wanted),
        [
            "the image filesystem is 100% full (image-gc-high-threshold is 85), so images are removed until it is 80% full",
            "1.0 GiB are available on the image filesystem, so images are removed until 20.0 GiB are (image-gc-min-available)",
            "97% of the 1000 inodes of the image filesystem are used (image-gc-high-threshold is 85), so images are removed until 80% are used",
        ]
    );
    let one = causes(&figures, &limits, &INODES);
    assert_eq!(one.len(), 1);
    assert!(one[0].starts_with("97% of the 1000 inodes"), "{one:?}");
}

#[test]
fn s5_8_what_others_write_is_no_growth() {
    let mut rules = Rules::default();
    rules.case("S5.8");
    let figures = |available, inodes_free| FsUsage {
        inodes: 9,
        inodes_free,
        ..usage(9, available)
    };
    let (before, now) = (figures(5, 5), figures(7, 4));
    assert_eq!(growth(&before, &now), grown(2, 0));
    assert_eq!(growth(&now, &before), grown(0, 1));
}
