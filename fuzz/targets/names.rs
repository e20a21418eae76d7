//! Names of log directories, logs and links, and the labels that they are made of.
#![no_main]

use crigc::node::{Container, ContainerState, Text};
use crigc::plan::exempt::Exempt;
use crigc::plan::logs::{entry_pod, entry_uid, expected_log, link_container_id, link_name};
use libfuzzer_sys::fuzz_target;

fn is_one_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '\0']) && name != "." && name != ".."
}

fuzz_target!(|data: &str| {
    assert!(data.ends_with(entry_uid(data)));
    if let Some((namespace, pod, uid)) = entry_pod(data) {
        assert_eq!(format!("{namespace}_{pod}_{uid}"), data);
    }
    if let Some(id) = link_container_id(data) {
        assert!(data.ends_with(&format!("-{id}.log")) && id.chars().count() >= 6);
    }
    let mut parts = data.split('\n').map(Text::from);
    let mut next = || parts.next();
    let container = Container {
        id: next().unwrap_or_default(),
        sandbox_id: "".into(),
        name: next().unwrap_or_default(),
        attempt: data.len() as u32,
        state: ContainerState::Exited,
        created_at: 0,
        finished_at: None,
        image_id: "".into(),
        image_ref: "".into(),
        image: "".into(),
        pod_name: next(),
        pod_namespace: next(),
        pod_uid: next(),
        container_name: next(),
        deletion_grace: next(),
        termination_grace: next(),
        readable: true,
    };
    if let Some(log) = expected_log(&container) {
        assert!(is_one_name(&log.pod_dir) && is_one_name(&log.old_pod_dir));
        let (folder, file) = log.file.split_once('/').expect("two names");
        assert!(is_one_name(folder) && is_one_name(file));
    }
    if let Some(link) = link_name(&container) {
        assert!(is_one_name(&link) && link.len() <= 255 && link.ends_with(".log"));
    }
    let grace = crigc::plan::containers::grace_period(
        container.deletion_grace.as_deref(),
        container.termination_grace.as_deref(),
    );
    assert!(crigc::plan::containers::stop_timeout(grace) >= 2);
    let (patterns, tag) = data.split_once('\t').unwrap_or((data, data));
    let image = crigc::node::Image {
        id: "sha256:a".into(),
        handler: "".into(),
        tags: vec![tag.into()],
        digests: vec![],
        size: 0,
        pinned: false,
        readable: true,
    };
    let patterns: Vec<String> = patterns.split(',').map(str::to_owned).collect();
    let _ = Exempt::new(&patterns).matches(&image);
});
