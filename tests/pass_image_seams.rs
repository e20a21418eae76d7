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
use crigc::hooks::Hook;
use crisim::Server;
use crisim::fault::{Action, Fault};
use images::*;
use records::{ALL_UNUSED, NOW, Place};
use rules::Rules;

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
