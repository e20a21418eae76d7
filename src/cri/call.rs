//! A gRPC call on HTTP/2: frames, trailers, codes. The length in a frame never reserves memory.

use super::connect::{Connection, ORIGIN, failed};
use super::error::CallError;
use http::{Request, StatusCode};
use prost::Message;
use prost::bytes::{Buf, BufMut, Bytes, BytesMut};
use tonic::{Code, Status};

/// The head of a message's frame: one byte that says whether the message is compressed, four for its length.
pub(super) const FRAME_HEAD: usize = 5;
/// The largest answer about a single object that crigc takes, in bytes; the kubelet's limit.
const ONE_LIMIT: usize = 16 << 20;

/// Takes the bytes of an answer as they come.
pub(super) trait Sink {
    fn take(&mut self, bytes: &[u8]) -> Result<(), CallError>;
}

/// The error of an answer that has to be one message and is not.
pub(super) fn not_one(messages: usize) -> CallError {
    CallError::garbage(&format!("{messages} messages came instead of one"))
}

/// Takes the head of the next frame, and returns the length of its message; `None` = the head has not arrived.
pub(super) fn frame(pending: &mut BytesMut, limit: usize) -> Result<Option<usize>, CallError> {
    if pending.len() < FRAME_HEAD {
        return Ok(None);
    }
    if pending.get_u8() != 0 {
        return Err(CallError::garbage("it is compressed"));
    }
    let bytes = usize::try_from(pending.get_u32()).unwrap_or(usize::MAX);
    if bytes > limit {
        return Err(CallError::TooLarge { bytes, limit });
    }
    Ok(Some(bytes))
}

/// A request in its frame.
pub(super) fn framed(request: &impl Message) -> Bytes {
    let length = request.encoded_len();
    let mut frame = BytesMut::with_capacity(FRAME_HEAD + length);
    frame.put_u8(0);
    // Requests are short: they have a name, or a few labels.
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    frame.extend_from_slice(&request.encode_to_vec());
    frame.freeze()
}

/// Makes the call with this path (service and method) and this framed request, and gives its whole answer to a sink. There is one copy of
/// this in a program, for all kinds of requests and sinks.
pub(super) async fn call(
    connection: &Connection<'_>,
    path: &str,
    request: Bytes,
    sink: &mut dyn Sink,
) -> Result<(), CallError> {
    let head = Request::post(format!("{ORIGIN}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .map_err(|e| CallError::Runtime(e.to_string()))?;
    let answer = connection.send(head, request).await?;
    let (head, mut body) = answer.into_parts();
    // An answer without a message has its status in the headers.
    if let Some(status) = Status::from_header_map(&head.headers) {
        if status.code() == Code::Ok && !body.is_end_stream() {
            return Err(CallError::garbage("its status came before its messages"));
        }
        return ended(status);
    }
    if head.status != StatusCode::OK {
        let text = format!("the answer has the HTTP status {}", head.status);
        return Err(match head.status {
            StatusCode::NOT_FOUND => CallError::Unimplemented {
                message: text,
                service: true,
            },
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => CallError::Unavailable(text),
            _ => CallError::Runtime(text),
        });
    }
    while let Some(data) = body.data().await {
        let data = data.map_err(|e| failed(&e))?;
        // The runtime may send as many bytes again. It never gets back more than it has sent.
        let _ = body.flow_control().release_capacity(data.len());
        sink.take(&data)?;
    }
    let trailers = body.trailers().await.map_err(|e| failed(&e))?;
    let status = trailers.and_then(|trailers| Status::from_header_map(&trailers));
    status.map_or_else(|| Err(without_status()), ended)
}

/// The error of an answer that ended early.
pub(super) fn without_status() -> CallError {
    CallError::garbage("it ended without a status")
}

fn ended(status: Status) -> Result<(), CallError> {
    match status.code() {
        Code::Ok => Ok(()),
        _ => Err(status.into()),
    }
}

/// Collects the bytes of one message.
#[derive(Default)]
struct OneMessage {
    pending: BytesMut,
    /// How long the message is, once the head of its frame has arrived.
    length: Option<usize>,
}

impl Sink for OneMessage {
    fn take(&mut self, bytes: &[u8]) -> Result<(), CallError> {
        self.pending.extend_from_slice(bytes);
        if self.length.is_none() {
            self.length = frame(&mut self.pending, ONE_LIMIT)?;
        }
        match self.length {
            Some(length) if self.pending.len() > length => {
                Err(CallError::garbage("more came than one message"))
            }
            _ => Ok(()),
        }
    }
}

impl OneMessage {
    /// The message, after its last byte.
    fn message<M: Message + Default>(self) -> Result<M, CallError> {
        match self.length {
            None if self.pending.is_empty() => Err(not_one(0)),
            Some(length) if length == self.pending.len() => {
                M::decode(self.pending.freeze()).map_err(|e| CallError::Garbage(e.to_string()))
            }
            _ => Err(CallError::garbage("it ends too early")),
        }
    }
}

/// Makes a call that is answered by one message.
pub(super) async fn one<M: Message + Default>(
    connection: &Connection<'_>,
    path: &str,
    request: &impl Message,
) -> Result<M, CallError> {
    let mut whole = OneMessage::default();
    call(connection, path, framed(request), &mut whole).await?;
    whole.message()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cri::proto::VersionResponse;

    fn taken(bytes: &[u8], cut: usize) -> Result<VersionResponse, CallError> {
        let mut whole = OneMessage::default();
        for piece in bytes.chunks(cut) {
            whole.take(piece)?;
        }
        whole.message()
    }

    #[test]
    fn a_message_comes_out_however_its_bytes_are_cut() {
        let version = VersionResponse {
            runtime_name: b"a runtime".to_vec(),
            ..VersionResponse::default()
        };
        let bytes = framed(&version);
        for cut in 1..=bytes.len() {
            assert_eq!(taken(&bytes, cut).unwrap(), version);
        }
        let twice = [&bytes[..], &bytes[..]].concat();
        let cases: [(&[u8], bool); 7] = [
            (&[], false),
            (&bytes[..4], false),
            (&bytes[..9], false),
            (&twice, false),
            (&[1, 0, 0, 0, 0], false),
            (&[0, 0, 0, 0, 2, 0x12, 9], false),
            (&[0, 1, 0, 0, 1], true),
        ];
        for (bytes, is_too_large) in cases {
            for cut in 1..=bytes.len().max(1) {
                let e = taken(bytes, cut).expect_err("no message");
                let found = matches!(e, CallError::TooLarge { .. });
                assert_eq!(found, is_too_large, "{bytes:?}: {e:?}");
                assert!(
                    found || matches!(e, CallError::Garbage(_)),
                    "{bytes:?}: {e:?}"
                );
            }
        }
    }

    #[test]
    fn nothing_is_reserved_for_what_a_length_promises() {
        let mut whole = OneMessage::default();
        whole.take(&[0, 0x01, 0, 0, 0, 7, 7]).unwrap();
        assert_eq!(whole.length, Some(ONE_LIMIT));
        assert!(
            whole.pending.capacity() < 4096,
            "{}",
            whole.pending.capacity()
        );
    }
}
