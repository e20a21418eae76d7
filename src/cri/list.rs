//! Lists of the runtime: streams where it has them, else one message, else parts by label selectors (S7). Which parts, others
//! decide.

use super::client::{Images, Line, Runtime};
use super::connect::Wire;
use super::convert::Names;
use super::error::CallError;
use super::learnt::{Learnt, List};
use super::rows::{Messages, Rows, call};
use super::{Place, proto};
use crate::config::RUNTIME_KEY;
use crate::error::{Error, Result};
use crate::node::{Container, ContainerState, Image, Sandbox, SandboxState, Text};
use crate::plan::parts::{Labels, Part};
use prost::bytes::Bytes;
use std::pin::pin;

/// The state of what is not whole: none that CRI defines.
const CUT: i32 = i32::MIN;

/// A kind of object that the runtime lists.
pub(crate) trait Row: Sized + Send + Sync + 'static {
    /// CRI's message of one row.
    type Message: prost::Message + Default;
    /// CRI's request; that of the stream is the same on the wire.
    type Request: prost::Message + Default;
    /// The field of the answer that holds the rows.
    const FIELD: u32 = 1;
    const LIST: List;

    fn of(message: Self::Message, names: &mut Names) -> Self;
    fn id(&self) -> &Text;
    /// There is another one with this ID (S0.4).
    fn doubt(&mut self);
    /// Parts of the row were too large to be taken: it stays, and so does what may depend on what was not read.
    fn cut(&mut self);
}

/// A row that can be asked for by labels.
pub(crate) trait Labelled: Row {
    fn request(part: &Part) -> Self::Request;
    /// Its labels as far as they can be asked by.
    fn labels(&self) -> Option<Labels>;
    /// What asks for those that are in use, with labels or without: few, however many have ended. One that goes from one of these
    /// states to the next between two calls is in the answer of one of them.
    fn in_use() -> Vec<Self::Request>;
}

fn containers_in(state: proto::ContainerState) -> proto::ListContainersRequest {
    let state = proto::ContainerStateValue {
        state: state as i32,
    };
    proto::ListContainersRequest {
        filter: Some(proto::ContainerFilter {
            state: Some(state),
            ..Default::default()
        }),
    }
}

fn selector(part: &Part) -> Vec<proto::Pair> {
    part.selector()
        .into_iter()
        .map(|(key, value)| proto::Pair {
            key: key.into(),
            value: Bytes::copy_from_slice(value.as_bytes()),
        })
        .collect()
}

impl Row for Container {
    type Message = proto::Container;
    type Request = proto::ListContainersRequest;
    const LIST: List = List::Containers;

    fn of(message: proto::Container, names: &mut Names) -> Container {
        super::convert::container(message, names)
    }

    fn id(&self) -> &Text {
        &self.id
    }

    fn doubt(&mut self) {
        self.readable = false;
    }

    /// It may run.
    fn cut(&mut self) {
        self.readable = false;
        self.state = ContainerState::Undefined(CUT);
    }
}

impl Labelled for Container {
    fn request(part: &Part) -> proto::ListContainersRequest {
        proto::ListContainersRequest {
            filter: Some(proto::ContainerFilter {
                label_selector: selector(part),
                ..Default::default()
            }),
        }
    }

    fn labels(&self) -> Option<Labels> {
        Some(Labels {
            namespace: self.pod_namespace.clone()?,
            pod: self.pod_name.clone()?,
            uid: self.pod_uid.clone()?,
            container: Some(self.container_name.clone()?),
        })
    }

    fn in_use() -> Vec<proto::ListContainersRequest> {
        let states = [
            proto::ContainerState::ContainerCreated,
            proto::ContainerState::ContainerRunning,
        ];
        states.map(containers_in).into()
    }
}

impl Row for Sandbox {
    type Message = proto::PodSandbox;
    type Request = proto::ListPodSandboxRequest;
    const LIST: List = List::Sandboxes;

    fn of(message: proto::PodSandbox, names: &mut Names) -> Sandbox {
        super::convert::sandbox(message, names)
    }

    fn id(&self) -> &Text {
        &self.id
    }

    fn doubt(&mut self) {
        self.readable = false;
    }

    /// It may be READY.
    fn cut(&mut self) {
        self.readable = false;
        self.state = SandboxState::Undefined(CUT);
    }
}

impl Labelled for Sandbox {
    fn request(part: &Part) -> proto::ListPodSandboxRequest {
        proto::ListPodSandboxRequest {
            filter: Some(proto::PodSandboxFilter {
                label_selector: selector(part),
                ..Default::default()
            }),
        }
    }

    /// A kubelet gives a sandbox the labels that its metadata names.
    fn labels(&self) -> Option<Labels> {
        Some(Labels {
            namespace: self.pod_namespace.clone(),
            pod: self.pod_name.clone(),
            uid: self.pod_uid.clone(),
            container: None,
        })
    }

    fn in_use() -> Vec<proto::ListPodSandboxRequest> {
        let ready = proto::PodSandboxStateValue {
            state: proto::PodSandboxState::SandboxReady as i32,
        };
        vec![proto::ListPodSandboxRequest {
            filter: Some(proto::PodSandboxFilter {
                state: Some(ready),
                ..Default::default()
            }),
        }]
    }
}

impl Row for Image {
    type Message = proto::Image;
    type Request = proto::ListImagesRequest;
    const LIST: List = List::Images;

    fn of(message: proto::Image, names: &mut Names) -> Image {
        super::convert::image(message, names)
    }

    fn id(&self) -> &Text {
        &self.id
    }

    fn doubt(&mut self) {
        self.readable = false;
    }

    /// It may have another tag, by which somebody uses it.
    fn cut(&mut self) {
        self.readable = false;
    }
}

/// A list that does not fit a message.
#[derive(Clone, Debug)]
pub(crate) struct TooLarge {
    /// The story for the host.
    pub(crate) error: Error,
    /// How large the answer would be and how large it may be, in bytes, where whoever refused it says so.
    pub(crate) size: Option<(u64, u64)>,
}

/// A list, if it fits.
pub(crate) enum Listed<T> {
    Whole(T),
    TooLarge(TooLarge),
}

/// Where lists come from.
struct Source<'a> {
    wire: &'a Wire,
    line: &'a Line<'a>,
    endpoint: Place<'a>,
}

impl Source<'_> {
    /// What one message holds of what a request asks for.
    async fn ask<R: Row>(&self, request: R::Request) -> Result<Listed<Rows<R>>> {
        let doing = R::LIST.doing();
        let method = R::LIST.plain();
        let call = call(self.wire, method, &request, Messages::One);
        match self.line.ask_all(method, pin!(call)).await {
            Ok(rows) => Ok(Listed::Whole(rows)),
            Err(e) => match e.of_list() {
                CallError::TooLarge(message) => Ok(Listed::TooLarge(TooLarge {
                    size: told_sizes(&message),
                    error: CallError::TooLarge(message).error(doing, self.endpoint),
                })),
                e => Err(e.error(doing, self.endpoint)),
            },
        }
    }

    /// All rows: as a stream, else in one message.
    async fn all<R: Row>(&self, learnt: &Learnt) -> Result<Listed<Vec<R>>> {
        if learnt.may_stream(R::LIST) {
            let everything = R::Request::default();
            let method = R::LIST.stream();
            let call = call::<R>(self.wire, method, &everything, Messages::Many);
            match self.line.ask_all(method, pin!(call)).await {
                // To CRI that is an empty list. To a proxy that lost the answer it may be any list: the other call, whose answer
                // is a message in any case, has to say so too.
                Ok(all) if all.messages == 0 => {}
                Ok(all) => return Ok(Listed::Whole(all.rows)),
                Err(CallError::Unimplemented(_)) => learnt.lacks(R::LIST),
                // Before its first message: the runtime puts all into one.
                Err(CallError::Exhausted(_) | CallError::TooMuch(_)) => {}
                Err(e) => return Err(e.error(R::LIST.doing(), self.endpoint)),
            }
        }
        Ok(match self.ask::<R>(R::Request::default()).await? {
            Listed::Whole(all) => Listed::Whole(all.rows),
            Listed::TooLarge(e) => Listed::TooLarge(e),
        })
    }
}

/// The two sizes in the refusal of a message, in the words of gRPC's libraries: `... message larger than max (18400000 vs.
/// 16777216)` of Go, C++ and those that are made after them, `... message length too large: found N bytes, the limit is: M bytes` of
/// Rust. Other numbers are of something else: of a limit of calls, say.
fn told_sizes(message: &str) -> Option<(u64, u64)> {
    let after = |words: &str| message.split_once(words).map(|(_, rest)| rest);
    let words = [
        "message larger than max (",
        "message length too large: found ",
        // Of this side.
        "message length is too large: ",
    ];
    let (size, rest) = number(words.into_iter().find_map(after)?)?;
    let between = [" vs. ", " vs ", " bytes, the limit is: ", " bytes, where "];
    let rest = between.iter().find_map(|words| rest.strip_prefix(words))?;
    let (limit, _) = number(rest)?;
    (size > limit).then_some((size, limit))
}

/// The number at the front of a text, and what follows.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    Some((digits.parse().ok()?, rest))
}

impl Runtime<'_> {
    fn source(&self) -> Source<'_> {
        Source {
            wire: &self.wire,
            line: &self.line,
            endpoint: self.endpoint,
        }
    }

    /// All containers or sandboxes, in all states.
    pub(crate) async fn list<R: Labelled>(&self) -> Result<Listed<Vec<R>>> {
        self.source().all(self.learnt).await
    }

    /// All of them in one message, where streams are none.
    pub(crate) async fn list_plain<R: Labelled>(&self) -> Result<Listed<Vec<R>>> {
        Ok(match self.source().ask::<R>(R::Request::default()).await? {
            Listed::Whole(all) => Listed::Whole(all.rows),
            Listed::TooLarge(e) => Listed::TooLarge(e),
        })
    }

    /// Those that carry the labels of a part.
    pub(crate) async fn list_part<R: Labelled>(&self, part: &Part) -> Result<Listed<Rows<R>>> {
        self.source().ask(R::request(part)).await
    }

    /// The containers that run: few, however many have ended.
    pub(crate) async fn list_running(&self) -> Result<Listed<Rows<Container>>> {
        let running = containers_in(proto::ContainerState::ContainerRunning);
        self.list_of::<Container>(running).await
    }

    /// Those that a request asks for.
    pub(crate) async fn list_of<R: Labelled>(
        &self,
        request: R::Request,
    ) -> Result<Listed<Rows<R>>> {
        self.source().ask(request).await
    }
}

impl Images<'_> {
    /// All images. CRI has no selector for them, and so no parts.
    pub(crate) async fn list_images(&self) -> Result<Vec<Image>> {
        let source = Source {
            wire: &self.wire,
            line: &self.line,
            endpoint: self.endpoint,
        };
        // The version that is asked for is the runtime's: of another program behind the image service nothing is remembered.
        let nothing = Learnt::default();
        let learnt = match self.endpoint.key {
            RUNTIME_KEY => self.learnt,
            _ => &nothing,
        };
        match source.all(learnt).await? {
            Listed::Whole(images) => Ok(images),
            Listed::TooLarge(e) => Err(e.error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_where_a_refusal_tells_them() {
        let cases = [
            (
                "grpc: trying to send message larger than max (18400000 vs. 16777216)",
                Some((18_400_000, 16_777_216)),
            ),
            (
                "Error, decoded message length too large: found 200 bytes, the limit is: 100 bytes",
                Some((200, 100)),
            ),
            (
                "rpc error: code = ResourceExhausted desc = trying to send message larger than max (7 vs. 5)",
                Some((7, 5)),
            ),
            (
                "SERVER: Sent message larger than max (17 vs. 16)",
                Some((17, 16)),
            ),
            (
                "Received message larger than max (17 vs 16)",
                Some((17, 16)),
            ),
            (
                "Error, encoded message length too large: found 9 bytes, the limit is: 8 bytes",
                Some((9, 8)),
            ),
            ("grpc: received message larger than max (7 vs. 9)", None),
            (
                "message larger than max (99999999999999999999999 vs. 4)",
                None,
            ),
            ("message larger than max (9", None),
            ("message larger than max (9 vs. ", None),
            ("too large by 4 bytes, 3", None),
            ("rate limit exceeded: 500 requests, 100 allowed", None),
            ("quota of calls exceeded (2000 vs. 1000)", None),
            ("too large", None),
        ];
        for (message, sizes) in cases {
            assert_eq!(told_sizes(message), sizes, "{message}");
        }
    }
}
