//! Answers of a runtime, as the bytes arrive, decoded into a snapshot of the node, and planned over: whatever they contain, objects that
//! run are kept.
#![no_main]

use crigc::fuzzing;
use crigc::node::{ContainerState, PodState, PodStates, SandboxState, Snapshot, Text};
use crigc::plan::containers::ContainerPolicy;
use crigc::plan::exempt::Exempt;
use crigc::plan::images::{self, Goal, ImageState, SandboxImages};
use crigc::plan::in_use::InUse;
use crigc::plan::pods::{PodView, uids_in_question};
use crigc::plan::records::Records;
use crigc::plan::space::{Growth, Missing, Wanted};
use crigc::plan::tally::{Counting, Tally};
use crigc::plan::{self, Plan};
use crigc::report::Compared;
use libfuzzer_sys::fuzz_target;
use std::collections::HashSet;
use std::time::Duration;

/// All pods count as gone, or none.
fn host(snapshot: &Snapshot, gone: bool) -> PodStates {
    let state = PodState {
        content_removable: gone,
        runtime_removable: gone,
    };
    PodStates {
        ready: true,
        states: uids_in_question(snapshot).into_iter().map(|uid| (uid, state)).collect(),
        as_of: 0,
    }
}

/// Each object has its decision, and only one; rows of one ID with different content have one together, and are kept.
fn is_whole<T>(plan: &Plan<'_, T>, objects: &[T], id: impl Fn(&T) -> &Text) {
    let steps = || plan.remove.iter().chain(&plan.keep).map(|step| step.object);
    let decided: HashSet<&Text> = steps().map(&id).collect();
    assert!(objects.iter().all(|object| decided.contains(id(object))));
    let once: HashSet<*const T> = steps().map(std::ptr::from_ref).collect();
    assert_eq!(once.len(), steps().count());
    let goes: HashSet<&Text> = plan.remove.iter().map(|step| id(step.object)).collect();
    assert!(plan.keep.iter().all(|step| !goes.contains(id(step.object))));
}

fuzz_target!(|data: &[u8]| {
    let [how, limit, total, data @ ..] = data else {
        return;
    };
    let third = data.len() / 3;
    let (containers, rest) = data.split_at(third);
    let (sandboxes, list) = rest.split_at(third);
    // As one message each, cut into pieces as sockets cut them.
    let cut = usize::from(how >> 2) + 1;
    let now = 1_700_000_000_000_000_000;
    let containers = fuzzing::containers(containers, cut).unwrap_or_default();
    let sandboxes = fuzzing::sandboxes(sandboxes, cut);
    let snapshot = Snapshot::new(containers, sandboxes);
    let view = PodView::new(&snapshot, &host(&snapshot, how & 1 == 1), how & 2 == 2, false);
    let config = crigc::config::Config {
        maximum_dead_containers_per_container: usize::from(*limit).checked_sub(1),
        maximum_dead_containers: usize::from(*total).checked_sub(1),
        maximum_dead_container_age: (how & 4 == 4).then(|| Duration::from_secs(3600)),
        ..Default::default()
    };
    let policy = ContainerPolicy::from(&config);
    let plan = plan::containers::plan(&snapshot, &view, &policy, now);
    is_whole(&plan, &snapshot.containers, |c| &c.id);
    for step in &plan.remove {
        let container = step.object;
        assert!(!matches!(
            container.state,
            ContainerState::Running | ContainerState::Undefined(_)
        ));
        assert!(container.readable && !container.id.is_empty());
    }
    if let Some(sandboxes) = &snapshot.sandboxes {
        let plan = plan::sandboxes::plan(&snapshot, &view);
        is_whole(&plan, sandboxes, |s| &s.id);
        for step in &plan.remove {
            let sandbox = step.object;
            assert!(sandbox.state == SandboxState::NotReady && sandbox.readable);
            assert!(snapshot.containers.iter().all(|c| c.sandbox_id != sandbox.id));
        }
    }
    let names: Vec<Text> = snapshot.containers.iter().map(|c| c.name.clone()).collect();
    let trees = plan::logs::trees(&names, &snapshot, &view, |name| (name.len() % 2 == 1).then_some(Compared::Nothing));
    assert_eq!(trees.remove.len() + trees.keep.len(), names.len());
    let images = fuzzing::images(list, cut).unwrap_or_default();
    let in_use = InUse::new(&snapshot.containers, []);
    let mut records = Records::default();
    for _ in 0..2 {
        records.watch(now, Duration::from_secs(1), Duration::from_secs(1));
        records.look(&images, &in_use, now);
    }
    let look = ImageState {
        images: &images,
        in_use: &in_use,
        records: &records,
        sandbox: &SandboxImages::Known(names),
        exempt: &Exempt::default(),
    };
    let missing = Missing {
        bytes: u64::from(*total),
        inodes: u64::from(*limit),
    };
    let wanted = Wanted {
        threshold: Some(80),
        ..Wanted::default()
    };
    let counting = if how & 1 == 1 { Counting::Measured } else { Counting::Reported };
    for goal in [Goal::Free(wanted), Goal::AllUnused, Goal::Aged(Duration::ZERO)] {
        let plan = images::plan(&look, &goal, 0, now);
        assert_eq!(plan.remove.len() + plan.keep.len(), images.len());
        let mut tally = Tally::new(&goal, missing, counting);
        for step in &plan.remove {
            let image = step.object;
            assert!(image.readable && !image.pinned && !in_use.uses(image));
            tally.started(image.size);
            tally.ended(image.size, true);
            tally.looked(image.size, missing, Growth::default());
        }
    }
});
