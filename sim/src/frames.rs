//! The frames of HTTP/2 that go out on a connection, so that a fault can change the head of a message in them.

/// Length, kind, flags and stream.
const HEAD: usize = 9;
const DATA: u8 = 0;
/// Where the length of gRPC's message stands in a frame of data.
const LENGTH: std::ops::Range<usize> = 1..5;

/// Where in its frames a connection is.
#[derive(Clone, Default)]
pub(crate) struct Frames {
    head: [u8; HEAD],
    /// How much of the head is there.
    known: usize,
    /// How much of the frame's content went by.
    at: usize,
}

impl Frames {
    fn length(&self) -> usize {
        let [a, b, c, ..] = self.head;
        usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
    }

    /// These bytes go by. Where in them the lengths of messages stand.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Vec<usize> {
        let (mut here, mut lengths) = (0, Vec::new());
        while here < bytes.len() {
            if self.known < HEAD {
                self.head[self.known] = bytes[here];
                self.known += 1;
                here += 1;
            } else {
                let some = (self.length() - self.at).min(bytes.len() - here);
                if self.head[3] == DATA {
                    let gone_by = self.at..self.at + some;
                    let seen = LENGTH.filter(|place| gone_by.contains(place));
                    lengths.extend(seen.map(|place| here + place - self.at));
                }
                self.at += some;
                here += some;
            }
            if self.known == HEAD && self.at == self.length() {
                (self.known, self.at) = (0, 0);
            }
        }
        lengths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings, a message of three bytes, trailers.
    fn sent() -> Vec<u8> {
        let frame = |kind: u8, content: &[u8]| {
            let mut frame = vec![0, 0, content.len() as u8, kind, 0, 0, 0, 0, 1];
            frame.extend_from_slice(content);
            frame
        };
        let message = [0, 0, 0, 0, 3, b'a', b'b', b'c'];
        [frame(4, b""), frame(DATA, &message), frame(1, b"trailers")].concat()
    }

    #[test]
    fn the_length_of_a_message_is_found_wherever_writes_are_cut() {
        let mut wanted = sent();
        let begin = 2 * HEAD;
        wanted[begin + LENGTH.start..begin + LENGTH.end].fill(u8::MAX);
        for cut in 1..sent().len() {
            let (mut frames, mut bytes) = (Frames::default(), sent());
            for piece in bytes.chunks_mut(cut) {
                for place in frames.pass(piece) {
                    piece[place] = u8::MAX;
                }
            }
            assert_eq!(bytes, wanted, "cut at {cut}");
        }
    }
}
