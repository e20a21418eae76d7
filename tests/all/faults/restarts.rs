//! A runtime that dies or restarts while a pass runs (S2.4, S6.4, S0.11).

use crigc::engine::{Engine, PassOptions};
use crigc::error::Status;
use crigc::hooks::Hook;
use crigc::report::{Entry, Kind, Outcome};
use crisim::fault::{Action, Fault};
use crisim::node::Word;
use crisim::{Options, Server};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use test_support::bench::{Bench, Maker, dead, fate, id, there, with_logs};
use test_support::rules::Rules;

const ONE_BY_ONE: (&str, &str) = ("max-parallel-removals", "1");
const NONE_KEPT: (&str, &str) = ("maximum-dead-containers-per-container", "0");

/// A runtime that a hook can take away and bring back, with all that is left in it.
#[derive(Clone)]
struct Service {
    socket: PathBuf,
    server: Arc<Mutex<Option<Server>>>,
}

impl Service {
    fn stop(&self) -> crisim::node::Node {
        let server = self.server.lock().unwrap().take().unwrap();
        server.state()
    }

    fn start(&self, node: crisim::node::Node) {
        let options = Options {
            socket: Some(self.socket.clone()),
            ..Options::default()
        };
        *self.server.lock().unwrap() = Some(Server::start(node, options).unwrap());
    }
}

/// Twelve dead containers that may all be removed, of a runtime that fails before the fifth removal.
fn interrupted(happens: impl Fn(&Service) + Send + Sync + 'static) -> (Bench, Service, Engine) {
    let mut maker = Maker::new();
    for n in 0..12 {
        maker.container("u1", &format!("c{n:02}"), 0, Word::Exited);
    }
    let socket = maker.path("own.sock");
    let bench = maker.start();
    let service = Service {
        socket,
        server: Arc::default(),
    };
    service.start(bench.server.state());
    let mut hooks = bench.hooks();
    let (of_hook, asked) = (service.clone(), AtomicUsize::new(0));
    hooks.approve = Some(Hook::new(Box::new(move |_: &Entry| {
        if asked.fetch_add(1, Ordering::SeqCst) == 4 {
            happens(&of_hook);
        }
        true
    }) as _));
    let keys = [
        (
            "container-runtime-endpoint",
            service.socket.to_str().unwrap(),
        ),
        ("max-parallel-removals", "1"),
        ("maximum-dead-containers-per-container", "0"),
    ];
    let engine = bench.engine(&keys, hooks);
    (bench, service, engine)
}

#[test]
fn s0_11_a_runtime_that_restarts_under_way_is_found_again_by_the_same_pass() {
    let mut rules = Rules::default();
    rules.case("S0.11");
    let (bench, service, engine) = interrupted(|service| {
        let node = service.stop();
        service.start(node);
    });
    let end = engine.containers(PassOptions::default(), None);
    let report = end.report.unwrap();
    let count = |outcome| report.count(Some(Kind::Container), Some(outcome));
    // The one in flight may have met the old one.
    assert!(count(Outcome::Removed) >= 11, "{:?}", report.entries);
    assert_eq!(count(Outcome::Removed) + count(Outcome::Failed), 12);
    let end = engine.containers(PassOptions::default(), None);
    assert_eq!(end.error, None);
    let left = service.stop().containers;
    assert!(left.is_empty(), "{left:?}");
    assert!(!there(&bench.log("u1", "c11", 0)));
}

#[test]
fn s6_4_a_runtime_that_stops_in_a_pass_and_comes_back_later_is_left_to_the_next() {
    let mut rules = Rules::default();
    rules.case("S6.4");
    let kept = Arc::new(Mutex::new(None));
    let of_hook = kept.clone();
    let (bench, service, engine) = interrupted(move |service| {
        *of_hook.lock().unwrap() = Some(service.stop());
    });
    let end = engine.containers(PassOptions::default(), None);
    assert_eq!(end.error.map(|e| e.status), Some(Status::Unavailable));
    let report = end.report.unwrap();
    let count = |outcome| report.count(Some(Kind::Container), Some(outcome));
    assert_eq!(count(Outcome::Removed), 4);
    assert_eq!(
        fate(&report, &id("u1", "c11", 0)).0,
        Outcome::Failed,
        "it says what it could not do"
    );
    // One had lost its log before its removal could not be sent; the others have theirs.
    let logs = (0..12).filter(|n| there(&bench.log("u1", &format!("c{n:02}"), 0)));
    assert_eq!(logs.count(), 7);
    let node = kept.lock().unwrap().take().unwrap();
    assert_eq!(node.containers.len(), 8);
    service.start(node);
    let end = engine.containers(PassOptions::default(), None);
    assert_eq!(end.error, None);
    assert!(service.stop().containers.is_empty());
}

#[test]
fn s2_4_a_runtime_that_dies_under_way_costs_one_container_its_logs() {
    let mut rules = Rules::default();
    rules.case("S2.4");
    let mut maker = dead(20);
    // Two lists, two removals; from then on every connection is cut.
    maker.options.faults.push(Fault {
        skip: 4,
        ..Fault::all("*", Action::Disconnect)
    });
    let bench = maker.start();
    let end = bench.collect(&[ONE_BY_ONE, NONE_KEPT], PassOptions::default());
    let report = end.report.unwrap();
    assert_eq!(
        report.count(Some(Kind::Container), Some(Outcome::Removed)),
        2
    );
    assert_eq!(
        report.count(Some(Kind::Container), Some(Outcome::Failed)),
        18
    );
    assert_eq!(
        with_logs(&bench, 20),
        17,
        "two were removed, and one removal had begun"
    );
    // The lists after it failed, and so did the pass.
    assert_eq!(end.error.map(|e| e.status), Some(Status::Unavailable));
}
