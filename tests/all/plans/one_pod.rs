//! S8: what is decided for a pass over one pod alone.

use crigc::node::{Container, ContainerState, PodStates};
use crigc::plan::containers::{self, ContainerPolicy};
use crigc::plan::logs::{Live, link_name};
use crigc::plan::pods::{PodView, Standing, called_gone, names_a_pod};
use crigc::report::Reason;
use test_support::node::{S, answer, exited, look};
use test_support::rules::Rules;

#[test]
fn s8_the_word_of_the_call_and_the_answer_of_the_callback_both_have_to_hold() {
    let mut rules = Rules::default();
    let unready = PodStates {
        ready: false,
        ..answer(&["+p"])
    };
    let as_of = |moment| PodStates {
        as_of: moment,
        ..answer(&["+p"])
    };
    // The answer of the callback, if there is one; what may happen to the pod, and as of which moment.
    let removable = Standing::Removable(Reason::PodRemoved);
    let table = [
        ("no callback", None, removable, 50),
        ("it agrees", Some(answer(&["+p"])), removable, 50),
        (
            "it says that the pod exists",
            Some(answer(&["p"])),
            Standing::Stays,
            50,
        ),
        (
            "it knows nothing of the pod",
            Some(answer(&[])),
            Standing::Stays,
            50,
        ),
        (
            "it says that the pod has ended",
            Some(answer(&["~p"])),
            Standing::Stays,
            50,
        ),
        (
            "it is not ready",
            Some(unready),
            Standing::Held(Reason::SourcesNotReady),
            50,
        ),
        (
            "it speaks of an earlier moment",
            Some(as_of(20)),
            removable,
            20,
        ),
        (
            "it speaks of a later moment",
            Some(as_of(70)),
            removable,
            50,
        ),
    ];
    for (what, callback, standing, moment) in table {
        rules.case("S8");
        let answer = called_gone(&"p".into(), 50, callback);
        assert_eq!(answer.as_of, moment, "{what}");
        let view = PodView::new(&look(vec![], vec![]), &answer, false, false);
        assert_eq!(view.standing("p"), standing, "{what}");
        assert_eq!(view.content_standing("p"), standing, "{what}");
        assert_eq!(view.standing("q"), Standing::Stays, "{what}");
    }
}

#[test]
fn s8_a_uid_fits_a_label_and_the_name_of_a_directory() {
    let mut rules = Rules::default();
    let table = [
        ("0f6b4c1e-9b6e-4c58-8d1c-5a0c8f9a1b2c", true),
        ("4a9c5c5f0e5b5d1d0f6e7a8b9c0d1e2f", true),
        ("u", true),
        ("\u{fc}", true),
        ("", false),
        ("/", false),
        ("a/b", false),
        ("a\n", false),
        ("\0", false),
        ("a\u{7f}b", false),
        ("\u{9b}", false),
    ];
    for (uid, fits) in table {
        rules.case("S8");
        assert_eq!(names_a_pod(uid), fits, "{uid:?}");
    }
}

#[test]
fn s8_objects_of_other_pods_are_neither_removed_nor_reported() {
    let mut rules = Rules::default();
    rules.case("S8");
    let containers =
        ["p", "q"].map(|uid| [1, 2].map(|age| exited(&format!("{uid}{age}"), uid, "app", age * S)));
    let snapshot = look(containers.concat(), vec![]);
    let view = PodView::new(&snapshot, &answer(&[]), false, false);
    let policy = ContainerPolicy::from(&crigc::config::Config::default());
    let mut plan = containers::plan(&snapshot, &view, &policy, 9 * S);
    assert_eq!((plan.remove.len(), plan.keep.len()), (2, 2));
    plan.only(|c| c.uid() == "p");
    let ids = |steps: &[crigc::plan::Step<'_, Container>]| {
        let ids = steps.iter().map(|step| step.object.id.to_string());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(&plan.remove), ["p1"]);
    assert_eq!(ids(&plan.keep), ["p2"]);
}

/// Which containers of other pods run is not known: each cut link may be theirs.
#[test]
fn s8_a_cut_link_may_be_that_of_another_pod() {
    let mut rules = Rules::default();
    let named = |name: &str, state| Container {
        pod_name: Some(name.into()),
        state,
        ..exited("0123456789", "p", "app", S)
    };
    let long = "p".repeat(250);
    let table = [
        ("pod", ContainerState::Exited, false),
        ("pod", ContainerState::Running, false),
        (&long, ContainerState::Exited, true),
        (&long, ContainerState::Running, true),
    ];
    for (name, state, is_kept) in table {
        rules.case("S8");
        let container = named(name, state);
        let link = link_name(&container).expect("usable labels");
        let live = Live::of_one_pod(std::slice::from_ref(&container));
        assert_eq!(live.has_link(&link), is_kept, "{} {state:?}", name.len());
    }
}
