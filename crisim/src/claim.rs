//! Answers that claim a length that they do not have.

use http_body_util::BodyExt;
use tonic::body::Body;
use tonic::codegen::{Bytes, http};

/// Where the length of a message stands in what gRPC sends of it.
const LENGTH: std::ops::Range<usize> = 1..5;

/// Goes with an answer: its first message, or only one, says that it has so many bytes. All other answers on the connection, before
/// and after it, are as they are.
#[derive(Clone, Copy)]
pub(crate) struct Claim(pub(crate) u32);

/// Changes the answer where one goes with it.
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
        // A message is sent with its head before it, in one piece.
        changed[LENGTH].copy_from_slice(&self.0.to_be_bytes());
        changed.into()
    }
}
