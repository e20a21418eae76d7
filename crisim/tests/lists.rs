//! Lists of large nodes: complete and broken streams, message limits, and their trace.

use crisim::client::{Cri, image};
use crisim::fault::{Action, Fault};
use crisim::made::Order;
use crisim::node::{Container, Node};
use crisim::proto::{
    Container as Row, ContainerFilter, ContainerStateValue, ImageFilter, ListContainersRequest,
    ListPodSandboxRequest, Pair, PodSandboxFilter, PodSandboxStateValue, RemoveContainerRequest,
    StreamContainersRequest, StreamContainersResponse, StreamImagesRequest,
    StreamPodSandboxesRequest,
};
use crisim::{Options, Server};
use prost::Message;
use tonic::{Code, Status};

fn made(dead_containers: usize, pods: usize) -> Node {
    let order = Order {
        pods,
        deleted_percent: 20,
        dead_containers,
        images: 60,
        fill_percent: 92,
        seed: 1,
        now: 1_700_000_000_000_000_000,
        pod_logs_dir: None,
        container_logs_dir: None,
        mountpoint: "/".into(),
        usage_file: None,
    };
    order.make().expect("no files").node
}

fn start(node: Node, options: Options) -> (Server, Cri) {
    let server = Server::start(node, options).expect("a socket");
    let cri = Cri::connect(server.socket()).expect("a connection");
    (server, cri)
}

/// With streams of four rows a message.
fn streams() -> Options {
    Options {
        streams: true,
        stream_items: 4,
        ..Options::default()
    }
}

fn rows(messages: &[StreamContainersResponse]) -> Vec<Row> {
    messages.iter().flat_map(|m| m.containers.clone()).collect()
}

fn whole<T>((messages, end): (Vec<T>, Option<Status>)) -> Vec<T> {
    assert!(end.is_none(), "{end:?}");
    messages
}

#[test]
fn streams_are_unimplemented_unless_ordered() {
    let (server, cri) = start(made(3, 2), Options::default());
    let ends = [
        cri.stream_containers(Default::default()).1,
        cri.stream_pod_sandboxes(Default::default()).1,
        cri.stream_images(Default::default()).1,
    ];
    for end in ends {
        assert_eq!(end.expect("refused").code(), Code::Unimplemented);
    }
    let trace = server.trace();
    let calls: Vec<(&str, i32)> = trace.iter().map(|call| (call.method, call.code)).collect();
    let want = ["StreamContainers", "StreamPodSandboxes", "StreamImages"];
    assert_eq!(calls, want.map(|method| (method, 12)));
}

#[test]
fn a_stream_brings_what_the_list_brings() {
    let (server, cri) = start(made(40, 10), streams());
    let messages = whole(cri.stream_containers(Default::default()));
    let list = cri.list_containers(Default::default()).expect("a list");
    assert_eq!(rows(&messages), list.containers);
    assert_eq!(list.containers.len(), 48);
    assert!(messages.iter().all(|m| m.containers.len() == 4));

    let messages = whole(cri.stream_pod_sandboxes(Default::default()));
    let list = cri.list_pod_sandbox(Default::default()).expect("a list");
    let streamed: Vec<_> = messages.into_iter().flat_map(|m| m.pod_sandboxes).collect();
    assert_eq!(streamed, list.items);

    let messages = whole(cri.stream_images(Default::default()));
    assert_eq!(messages.len(), 15);
    let list = cri.list_images(Default::default()).expect("a list");
    let streamed: Vec<_> = messages.into_iter().flat_map(|m| m.images).collect();
    assert_eq!(streamed, list.images);

    let trace = server.trace();
    assert_eq!(trace.len(), 6, "a stream is one call");
    let well = |call: &crisim::trace::Call| call.code == 0 && call.end >= call.start;
    assert!(trace.iter().all(well), "{trace:?}");
    server.edit(|node| node.containers.clear());
    let nothing = whole(cri.stream_containers(Default::default()));
    assert!(nothing.is_empty(), "messages have at least one row");
}

#[test]
fn filters_select_in_streams_and_stand_in_the_trace() {
    let (server, cri) = start(made(40, 10), streams());
    let key = "io.kubernetes.pod.uid";
    let uid = server.state().containers[5].labels[key].clone();
    let filter = ContainerFilter {
        state: Some(ContainerStateValue { state: 2 }),
        label_selector: vec![Pair {
            key: key.into(),
            value: uid.0.clone(),
        }],
        ..Default::default()
    };
    let of_pod = |c: &&Container| c.labels[key] == uid && c.state.number() == 2;
    let want = server.state().containers.iter().filter(of_pod).count();
    assert!(want > 0);
    let list = cri.list_containers(ListContainersRequest {
        filter: Some(filter.clone()),
    });
    let list = list.expect("a list").containers;
    let messages = whole(cri.stream_containers(StreamContainersRequest {
        filter: Some(filter),
    }));
    assert_eq!((list.len(), rows(&messages)), (want, list));

    let filter = PodSandboxFilter {
        state: Some(PodSandboxStateValue { state: 0 }),
        ..Default::default()
    };
    let ready = cri.list_pod_sandbox(ListPodSandboxRequest {
        filter: Some(filter.clone()),
    });
    let messages = whole(cri.stream_pod_sandboxes(StreamPodSandboxesRequest {
        filter: Some(filter),
    }));
    let streamed: Vec<_> = messages.into_iter().flat_map(|m| m.pod_sandboxes).collect();
    assert_eq!((8, streamed), (8, ready.expect("a list").items));

    let tag = server.state().images[3].tags[0].to_string();
    let messages = whole(cri.stream_images(StreamImagesRequest {
        filter: Some(ImageFilter { image: image(&tag) }),
    }));
    assert_eq!(messages[0].images.len(), 1);
    cri.containers().expect("a list");

    let trace = server.trace();
    let told: Vec<&str> = trace.iter().map(|call| call.selector.as_str()).collect();
    let (containers, tag) = (format!("state=2,{key}={uid}"), format!("image={tag}"));
    let want = [&containers, &containers, "state=0", "state=0", &tag, ""];
    assert_eq!(told, want);
    let json = |number: usize| serde_json::to_string(&trace[number]).expect("JSON");
    assert!(json(0).contains(&format!(r#""selector":"{containers}""#)));
    assert!(!json(5).contains("selector"));
}

#[test]
fn a_message_of_a_stream_stays_below_the_limit() {
    let (server, cri) = start(
        made(40, 10),
        Options {
            message_limit: 2500,
            ..streams()
        },
    );
    let error = cri.containers().expect_err("too many");
    assert_eq!(error.code(), Code::ResourceExhausted);
    let messages = whole(cri.stream_containers(Default::default()));
    assert_eq!(rows(&messages).len(), 48);
    let sizes: Vec<usize> = messages.iter().map(Message::encoded_len).collect();
    assert!(sizes.iter().all(|size| *size <= 2500), "{sizes:?}");
    assert!(messages.len() > 48 / 4, "{sizes:?}");

    server.edit(|node| node.containers[9].name = "long".repeat(1000).into());
    let (messages, end) = cri.stream_containers(Default::default());
    assert_eq!(end.expect("too large").code(), Code::ResourceExhausted);
    assert_eq!(rows(&messages).len(), 9, "what stands before it");
}

#[test]
fn faults_break_streams_off() {
    let (server, cri) = start(made(16, 1), streams());
    let text = || "as ordered".to_owned();
    let cases = [
        (Action::Code(14, text()), 0, 14, 14),
        (Action::Break(0, 13, text()), 0, 13, 13),
        (Action::Break(2, 13, text()), 2, 13, 13),
        (Action::Break(99, 13, text()), 5, 13, 13),
        (Action::Late(4, text()), 5, 4, 4),
    ];
    for (action, messages, code, traced) in cases {
        server.clear_trace();
        let fault = Fault::all("StreamContainers", action.clone());
        server.set_faults(vec![fault]);
        let (got, end) = cri.stream_containers(Default::default());
        let end = end.expect("as ordered");
        assert_eq!(
            (got.len(), end.code() as i32),
            (messages, code),
            "{action:?}"
        );
        assert_eq!(end.message(), "as ordered");
        assert_eq!(server.trace()[0].code, traced, "{action:?}");
    }
    server.set_faults(Vec::new());
    assert_eq!(whole(cri.stream_containers(Default::default())).len(), 5);
}

#[test]
fn a_connection_is_cut_in_the_middle_of_a_stream() {
    for after in [0, 3, 99] {
        let (server, cri) = start(made(16, 1), streams());
        server.set_faults(vec![Fault {
            count: Some(1),
            ..Fault::all("*", Action::Cut(after))
        }]);
        let (messages, end) = cri.stream_containers(Default::default());
        let end = end.expect("cut");
        assert_eq!(messages.len(), after.min(5), "{end}");
        let code = end.code();
        assert!(
            matches!(code, Code::Unavailable | Code::Unknown | Code::Internal),
            "{end}"
        );
        assert_eq!(server.trace()[0].code, -1, "it never ended");
        let messages = whole(cri.stream_containers(Default::default()));
        assert_eq!(messages.len(), 5, "on a new connection");
    }
}

/// The effect of the fault for streams on other calls.
#[test]
fn calls_that_are_cut_have_done_their_work() {
    let (server, cri) = start(made(16, 1), Options::default());
    let ids: Vec<Vec<u8>> = server
        .state()
        .containers
        .into_iter()
        .map(|c| c.id.0)
        .collect();
    let actions = [Action::Cut(1), Action::Break(1, 13, String::new())];
    for (container_id, action) in ids.into_iter().zip(actions) {
        server.set_faults(vec![Fault::all("RemoveContainer", action)]);
        let request = RemoveContainerRequest { container_id };
        cri.remove_container(request).expect_err("the fault");
    }
    assert_eq!(server.state().containers.len(), 15);
}

#[test]
fn one_answer_alone_claims_a_length() {
    let (server, cri) = start(made(16, 1), streams());
    let containers = server.state().containers;
    for (at, bytes) in [(0, 1), (1, 128 << 20)] {
        let first = Fault {
            count: Some(1),
            ..Fault::all("*", Action::Huge(bytes))
        };
        server.set_faults(vec![first.clone()]);
        let remove = |at: usize| {
            let container_id = containers[at].id.0.clone();
            cri.remove_container(RemoveContainerRequest { container_id })
        };
        remove(2 * at).expect_err("the fault");
        remove(2 * at + 1).expect("one answer is hit");
        let left = containers.len() - 2 * (at + 1);
        assert_eq!(server.state().containers.len(), left);
        server.set_faults(vec![first]);
        // This client does not report that a stream ended within a message.
        let (messages, _) = cri.stream_containers(Default::default());
        assert!(messages.is_empty(), "{messages:?}");
        whole(cri.stream_containers(Default::default()));
        let codes: Vec<i32> = server.trace().iter().map(|call| call.code).collect();
        assert!(codes.iter().all(|code| *code <= 0), "{codes:?}: its work");
    }
}

#[test]
fn faults_of_streams_are_read_from_json() {
    let text = r#"[{"method": "StreamContainers", "action": {"break": [2, 13, "text"]}},
        {"method": "StreamImages", "action": {"cut": 1}},
        {"method": "RemoveImage", "action": {"huge": 134217728}}]"#;
    let faults: Vec<Fault> = serde_json::from_str(text).expect("faults");
    assert_eq!(faults[0].action, Action::Break(2, 13, "text".to_owned()));
    assert_eq!(faults[1].action, Action::Cut(1));
    assert_eq!(faults[2].action, Action::Huge(128 << 20));
}

#[test]
fn a_list_reaches_the_limit_at_the_size_of_real_nodes() {
    let size = |dead: usize| {
        let node = made(dead, 300);
        let count = node.containers.len();
        let options = Options {
            message_limit: usize::MAX,
            ..Options::default()
        };
        let (_server, cri) = start(node, options);
        let list = cri.list_containers(Default::default()).expect("a list");
        assert_eq!(list.containers.len(), count);
        (count, list.encoded_len())
    };
    let limit = crisim::server::MESSAGE_LIMIT;
    let (few, below) = size(17_700);
    assert!(few < 18_000 && below <= limit, "{few}: {below}");
    let (many, above) = size(18_800);
    assert!(many > 19_000 && above > limit, "{many}: {above}");
}

#[test]
fn a_hundred_thousand_containers_come_by_stream_alone() {
    let options = Options {
        streams: true,
        ..Options::default()
    };
    let (server, cri) = start(made(100_000, 1000), options);
    let error = cri.containers().expect_err("above the limit");
    assert_eq!(error.code(), Code::ResourceExhausted);
    let messages = whole(cri.stream_containers(Default::default()));
    assert_eq!(messages.len(), 202, "500 rows in each");
    let ids: Vec<Vec<u8>> = rows(&messages).into_iter().map(|row| row.id).collect();
    assert_eq!(ids.len(), 100_800);
    for id in ids.iter().step_by(100) {
        let request = RemoveContainerRequest {
            container_id: id.clone(),
        };
        cri.remove_container(request).expect("gone");
    }
    let left = whole(cri.stream_containers(Default::default()));
    let left: Vec<Vec<u8>> = rows(&left).into_iter().map(|row| row.id).collect();
    let want = ids
        .iter()
        .enumerate()
        .filter(|(number, _)| number % 100 > 0);
    assert!(left.iter().eq(want.map(|(_, id)| id)), "in the same order");
    let last = server.trace().pop().expect("calls");
    assert_eq!((last.method, last.in_flight), ("StreamContainers", 1));
}
