//! Where the rules of an image pass meet: calls that fail beside figures that are none (S5.6), a hold beside two goals (S0.7, S5.9), a
//! runtime that stops answering half way (S6.5).

#[path = "common/images.rs"]
mod images;
#[path = "common/records.rs"]
mod records;
#[path = "common/rules.rs"]
mod rules;

use crigc::engine::{Call, Engine, Flags};
use crigc::error::Status;
use crigc::hooks::{Hook, Hooks, LogLevel};
use crisim::Server;
use crisim::fault::{Action, Fault};
use images::*;
use records::{ALL_UNUSED, NOW, Place, WATCHDOG};
use rules::Rules;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SOON: (&str, &str) = ("runtime-request-timeout", "300ms");

/// S5.6: a call that fails, or that the host breaks off, is no figure that is none; the kubelet makes no event of it.
#[test]
fn s5_6_a_call_for_figures_that_fails_is_no_event() {
    let mut rules = Rules::default();
    let busy = Action::Code(13, "busy".into());
    for (action, deadline, want) in [
        (busy, 0, Status::Runtime),
        (Action::Hang, 0, Status::Timeout),
        (Action::Hang, 200, Status::Timeout),
    ] {
        rules.case("S5.6");
        let server = start(node(vec![image("a", "r/a:1", 100)]));
        server.set_faults(vec![Fault::all("ImageFsInfo", action.clone())]);
        let host = Host::new(1000, 0);
        let engine = engine(&server, host.hooks(false), &[SOON]);
        let call = Call::new(deadline);
        let end = engine.images(Flags::default(), Some(&call));
        assert_eq!(status(&end), Some(want), "{action:?}: {:?}", end.error);
        assert_eq!(told(&end), ["a kept not-reached"]);
        assert_eq!(*host.events.lock().unwrap(), [""; 0], "{action:?}");
    }
}

/// An engine by whose age limit the image `a` goes, of a node whose disk is full.
fn aged(server: &Server, place: &Place, host: &Host, own: bool, keys: &[(&str, &str)]) -> Engine {
    std::fs::write(place.path(""), records::good(&server.endpoint())).unwrap();
    let keys = [&[("image-maximum-gc-age", "30m")], keys].concat();
    let engine = place.engine_by(server, &keys, |hooks| {
        *hooks = host.hooks(own);
        hooks.clock = Some(Hook::new(Box::new(|| NOW + 10) as _));
    });
    engine.unwrap()
}

/// S5.9: what was held when it was to go by age is still held when it is to go for space.
#[test]
fn s5_9_an_image_that_is_held_by_age_is_no_space_that_is_missing() {
    let mut rules = Rules::default();
    rules.case("S0.7");
    rules.case("S5.9");
    let server = start(node(vec![image("a", "r/a:1", 100)]));
    let (place, host) = (Place::new(), Host::new(1000, 0));
    let hold = place.path(".hold");
    std::fs::write(&hold, "").unwrap();
    let keys = [("hold-file", hold.to_str().unwrap())];
    let end = aged(&server, &place, &host, true, &keys).images(Flags::default(), None);
    assert_eq!(told(&end), ["a kept held"]);
    assert_eq!((end.error, host.events.lock().unwrap().len()), (None, 0));
}

/// S6.5: calls that get no answer half way through a pass over images, by goal: `a` would go, `b` is used.
#[test]
fn s6_5_a_pass_over_images_that_can_remove_nothing_asks_for_nothing_more() {
    let mut rules = Rules::default();
    let image_calls = ["ImageStatus", "ImageFsInfo", "RemoveImage"];
    let all = [&image_calls[..], &["ContainerStatus", "Status", "Version"]].concat();
    // What is asked in vain: one request timeout each.
    let table: [(&[&'static str], Flags, bool, &[&str]); 7] = [
        // Whether the disk is full decides whether it matters that nobody knows who mounts what.
        (
            &all,
            Flags::default(),
            false,
            &["ContainerStatus", "ImageFsInfo"],
        ),
        (&all, ALL_UNUSED, false, &["ContainerStatus"]),
        (
            &all,
            Flags::default(),
            true,
            &["ContainerStatus", "ImageFsInfo"],
        ),
        (&all, ALL_UNUSED, true, &["ContainerStatus"]),
        (&image_calls, Flags::default(), false, &["ImageFsInfo"]),
        (
            &image_calls,
            ALL_UNUSED,
            false,
            &["ImageFsInfo", "ImageStatus"],
        ),
        (
            &image_calls,
            Flags::default(),
            true,
            &["ImageFsInfo", "ImageStatus"],
        ),
    ];
    for (hangs, flags, by_age, want) in table {
        rules.case("S6.5");
        let what = format!("{hangs:?} {flags:?} {by_age}");
        let mut made = node(vec![image("a", "r/a:1", 1), image("b", "r/b:1", 1)]);
        made.containers.push(user("u1", "r/b:1"));
        let server = start(made);
        server.set_faults(hangs.iter().map(|m| Fault::all(m, Action::Hang)).collect());
        let (place, host) = (Place::new(), Host::new(1000, 0));
        let keys = [
            SOON,
            ("image-maximum-gc-age", if by_age { "30m" } else { "0" }),
        ];
        let end = aged(&server, &place, &host, false, &keys).images(flags, None);
        assert_eq!(status(&end), Some(Status::Timeout), "{what}");
        assert_eq!(told(&end).len(), 2, "{what}");
        assert_eq!(there(&server).len(), 2, "{what}");
        let trace = server.trace().into_iter().map(|call| call.method);
        let in_vain: Vec<&str> = trace.filter(|method| hangs.contains(method)).collect();
        assert_eq!(in_vain, want, "{what}");
    }
}

/// api.md, Status: where both lists fail, the first in the order of the pass is the pass's, and both are told.
#[test]
fn s5_2_where_both_lists_fail_the_first_is_the_status() {
    let mut rules = Rules::default();
    rules.case("S5.2");
    let server = start(node(vec![image("a", "r/a:1", 100)]));
    let broken = Fault::all("ListContainers", Action::Code(13, "broken".into()));
    server.set_faults(vec![broken, Fault::all("ListImages", Action::Hang)]);
    let end = engine(&server, Host::new(1000, 0).hooks(true), &[SOON]).images(ALL_UNUSED, None);
    let error = end.error.unwrap();
    assert_eq!(error.status, Status::Runtime, "{error}");
    assert!(error.message.contains("broken") && error.message.contains("list images"));
}

/// S5.1: nobody hears of a look between two passes, whatever it meets: the next pass meets the same.
#[test]
fn s5_1_a_look_between_two_passes_tells_no_warnings() {
    let mut rules = Rules::default();
    rules.case("S5.1");
    let server = start(node(vec![image("a", "r/a:1", 100)]));
    let host = Host::new(1000, 1000);
    let (down, asked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (is_down, is_asked) = (down.clone(), asked.clone());
    let clock = move || match is_down.load(Ordering::SeqCst) {
        true => {
            is_asked.store(true, Ordering::SeqCst);
            0
        }
        false => NOW,
    };
    let lines = Arc::new(Mutex::new(Vec::new()));
    let told = lines.clone();
    let log = move |_: LogLevel, line: &str| told.lock().unwrap().push(line.to_owned());
    let keys = [
        ("image-maximum-gc-age", "1m"),
        ("minimum-image-ttl-duration", "0"),
        ("image-gc-period", "1h"),
        ("container-gc-period", "1h"),
        ("pod-logs-dir", ""),
        ("container-logs-dir", ""),
    ];
    let hooks = Hooks {
        log: Some((LogLevel::Warn, Hook::new(Box::new(log) as _))),
        clock: Some(Hook::new(Box::new(clock) as _)),
        ..host.hooks(true)
    };
    let engine = engine(&server, hooks, &keys);
    engine.start().unwrap();
    let wait = |what: &str, done: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !done() {
            assert!(began.elapsed() < WATCHDOG, "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    wait("the first passes", &|| {
        host.passes.lock().unwrap().len() == 2
    });
    // A look without a clock fails before it asks anything.
    down.store(true, Ordering::SeqCst);
    wait("a look", &|| asked.load(Ordering::SeqCst));
    engine.stop();
    assert_eq!(*lines.lock().unwrap(), [""; 0]);
}
