//! Answers that claim a length that they do not have.

use http_body_util::BodyExt;
use tonic::body::Body;
use tonic::codegen::{Bytes, http};

/// Where the length of a message is in a gRPC frame.
const LENGTH: std::ops::Range<usize> = 1..5;

/// A mark on an answer: its first message claims this number of bytes. Other answers on the connection are not changed.
#[derive(Clone, Copy)]
pub(crate) struct Claim(pub(crate) u32);

/// Changes an answer that has the mark.
pub(crate) fn carry_out(response: http::Response<Body>) -> http::Response<Body> {
    match response.extensions().get::<Claim>() {
        None => response,
        Some(claim) => {
            let mut claim = Some(*claim);
            response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    frame.map_data(|data| match claim.take() {
                        None => data,
                        Some(claim) => claim.instead(&data),
                    })
                }))
            })
        }
    }
}

impl Claim {
    /// The beginning of a message with this length in the place of its own.
    fn instead(self, data: &[u8]) -> Bytes {
        let mut changed = data.to_vec();
        // A message and its head are sent in one piece.
        changed[LENGTH].copy_from_slice(&self.0.to_be_bytes());
        changed.into()
    }
}
