//! Treats any `:authority` as localhost. gRPC clients for C, Java and Go (crictl, kubelets before 1.26) send the path of the unix socket
//! there, which is not a valid authority of HTTP: the HTTP/2 of this server refuses such a stream. A client sends the same authority in all
//! its calls, so if its first one is valid, the connection is not changed.

use loona_hpack::{Decoder, Encoder};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};
use tonic::codegen::http::uri::Authority;

/// The preface that a client of HTTP/2 sends before its frames.
const PREFACE: usize = 24;
/// Length, type, flags and stream of a frame.
const HEAD: usize = 9;
/// The largest frame that every receiver has to accept.
const FRAME: usize = 16_384;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// A block of headers that is not complete yet.
struct Block {
    stream: [u8; 4],
    end_stream: u8,
    data: Vec<u8>,
    /// Its frames as they arrived.
    frames: Vec<u8>,
}

/// How the calls of a connection are handled.
#[derive(PartialEq)]
enum Way {
    /// Its first call decides.
    Open,
    Rewritten,
    AsTheyCome,
}

/// Rewrites the bytes that a client sends.
pub(crate) struct Rewriter {
    /// Bytes of the preface that are still to come.
    preface: usize,
    /// The beginning of a frame.
    raw: Vec<u8>,
    /// The bytes that can be read, from this place.
    ready: (Vec<u8>, usize),
    block: Option<Block>,
    way: Way,
    decoder: Decoder<'static>,
    encoder: Encoder<'static>,
}

impl Rewriter {
    pub(crate) fn new() -> Rewriter {
        Rewriter {
            preface: PREFACE,
            raw: Vec::new(),
            ready: (Vec::new(), 0),
            block: None,
            way: Way::Open,
            decoder: Decoder::new(),
            encoder: Encoder::new(),
        }
    }

    /// Reads from a client as if it had sent localhost.
    pub(crate) fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.ready.1 == self.ready.0.len() {
            self.ready = (Vec::new(), 0);
            if self.way == Way::AsTheyCome {
                return Pin::new(stream).poll_read(cx, into);
            }
            let mut chunk = [0; FRAME];
            let mut buffer = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(())); // the end; half a frame is dropped
            }
            self.take(buffer.filled())?;
        }
        let (bytes, at) = &mut self.ready;
        let length = into.remaining().min(bytes.len() - *at);
        into.put_slice(&bytes[*at..*at + length]);
        *at += length;
        Poll::Ready(Ok(()))
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        let first = bytes.len().min(self.preface);
        self.preface -= first;
        self.ready.0.extend(&bytes[..first]);
        self.raw.extend(&bytes[first..]);
        let raw = std::mem::take(&mut self.raw);
        let mut rest = raw.as_slice();
        while let (Some(length), false) = (rest.first_chunk::<3>(), self.way == Way::AsTheyCome) {
            let [a, b, c] = length.map(usize::from);
            let Some((frame, more)) = rest.split_at_checked(HEAD + (a << 16 | b << 8 | c)) else {
                break;
            };
            self.frame(frame)?;
            rest = more;
        }
        match self.way {
            Way::AsTheyCome => self.ready.0.extend(rest),
            _ => self.raw = rest.to_vec(),
        }
        Ok(())
    }

    fn frame(&mut self, frame: &[u8]) -> io::Result<()> {
        let (kind, flags) = (frame[3], frame[4]);
        match (kind, &mut self.block) {
            (HEADERS, _) => {
                self.block = Some(Block {
                    stream: [frame[5], frame[6], frame[7], frame[8]],
                    end_stream: flags & END_STREAM,
                    data: fragment(&frame[HEAD..], flags)?.to_vec(),
                    frames: frame.to_vec(),
                });
            }
            (CONTINUATION, Some(block)) => {
                block.data.extend(&frame[HEAD..]);
                block.frames.extend(frame);
            }
            _ => {
                self.ready.0.extend(frame);
                return Ok(());
            }
        }
        match flags & END_HEADERS {
            0 => Ok(()),
            _ => self.headers(),
        }
    }

    /// Passes a complete block of headers on.
    fn headers(&mut self) -> io::Result<()> {
        let Some(block) = self.block.take() else {
            return Ok(());
        };
        let mut headers = self
            .decoder
            .decode(&block.data)
            .map_err(|e| bad(&format!("headers that cannot be read: {e:?}")))?;
        let mut named = headers.iter().filter(|(name, _)| name == b":authority");
        if self.way == Way::Open && named.all(|(_, name)| Authority::try_from(&**name).is_ok()) {
            self.way = Way::AsTheyCome;
            self.ready.0.extend(block.frames);
            return Ok(());
        }
        self.way = Way::Rewritten;
        for (_, value) in headers.iter_mut().filter(|(name, _)| name == b":authority") {
            *value = b"localhost".to_vec();
        }
        let pairs = headers.iter().map(|(name, value)| (&**name, &**value));
        let data = self.encoder.encode(pairs);
        let pieces: Vec<&[u8]> = data.chunks(FRAME).collect();
        for (number, piece) in pieces.iter().enumerate() {
            let (kind, mut flags) = match number {
                0 => (HEADERS, block.end_stream),
                _ => (CONTINUATION, 0),
            };
            if number + 1 == pieces.len() {
                flags |= END_HEADERS;
            }
            let [_, a, b, c] = u32::try_from(piece.len()).unwrap_or(0).to_be_bytes();
            let out = &mut self.ready.0;
            out.extend([a, b, c, kind, flags]);
            out.extend(block.stream);
            out.extend(*piece);
        }
        Ok(())
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// The part of its block in a HEADERS frame, without padding and priority.
fn fragment(payload: &[u8], flags: u8) -> io::Result<&[u8]> {
    let short = || bad("a frame of headers that is too short");
    let (padding, rest) = match flags & PADDED {
        0 => (0, payload),
        _ => payload
            .split_first()
            .map(|(&length, rest)| (usize::from(length), rest))
            .ok_or_else(short)?,
    };
    let skip = if flags & PRIORITY == 0 { 0 } else { 5 };
    let end = rest.len().checked_sub(padding).ok_or_else(short)?;
    rest.get(skip..end).ok_or_else(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).expect("a short one");
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
        frame.extend(payload);
        frame
    }

    /// The headers of each stream that is passed on, and all other frames.
    type Read = (Vec<(u8, Vec<(Vec<u8>, Vec<u8>)>)>, Vec<Vec<u8>>);

    fn read(mut bytes: &[u8]) -> Read {
        let (mut blocks, mut others) = (Vec::new(), Vec::new());
        let mut decoder = Decoder::new();
        while !bytes.is_empty() {
            let end = HEAD + usize::from(bytes[1]) * 256 + usize::from(bytes[2]);
            match bytes[3] {
                HEADERS => {
                    assert_eq!(bytes[4] & (PADDED | PRIORITY), 0);
                    blocks.push((
                        bytes[8],
                        decoder.decode(&bytes[HEAD..end]).expect("headers"),
                    ));
                }
                _ => others.push(bytes[..end].to_vec()),
            }
            bytes = &bytes[end..];
        }
        (blocks, others)
    }

    #[test]
    fn only_the_authority_changes_whatever_the_pieces() {
        let mut encoder = Encoder::new();
        let headers: [(&[u8], &[u8]); 4] = [
            (b":method", b"POST"),
            (b":authority", b"/run/x.sock"),
            (b":path", b"/runtime.v1.RuntimeService/Version"),
            (b"te", b"trailers"),
        ];
        let first = encoder.encode(headers);
        let second = encoder.encode(headers); // from the dynamic table, if the encoder has one
        let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        sent.extend(frame(4, 0, 0, b""));
        sent.extend(frame(HEADERS, END_HEADERS, 1, &first));
        sent.extend(frame(0, END_STREAM, 1, b"data"));
        let mut padded = vec![3, 0, 0, 0, 0, 7];
        padded.extend(&second[..5]);
        padded.extend([0; 3]);
        sent.extend(frame(HEADERS, PADDED | PRIORITY | END_STREAM, 3, &padded));
        sent.extend(frame(CONTINUATION, END_HEADERS, 3, &second[5..]));
        for size in [1, 2, 7, 1000] {
            let mut rewriter = Rewriter::new();
            for piece in sent.chunks(size) {
                rewriter.take(piece).expect("good frames");
            }
            let out = &rewriter.ready.0;
            assert_eq!(&out[..PREFACE], &sent[..PREFACE]);
            let (blocks, others) = read(&out[PREFACE..]);
            assert_eq!(
                others,
                [frame(4, 0, 0, b""), frame(0, END_STREAM, 1, b"data")]
            );
            assert_eq!([blocks[0].0, blocks[1].0], [1, 3]);
            for (_, got) in blocks {
                let want = headers.map(|(name, value)| match name {
                    b":authority" => (name.to_vec(), b"localhost".to_vec()),
                    _ => (name.to_vec(), value.to_vec()),
                });
                assert_eq!(got, want);
            }
        }
    }

    #[test]
    fn a_client_with_a_good_authority_is_left_alone() {
        let mut encoder = Encoder::new();
        let headers: [(&[u8], &[u8]); 2] = [(b":method", b"POST"), (b":authority", b"localhost")];
        let block = encoder.encode(headers);
        let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        sent.extend(frame(4, 0, 0, b""));
        sent.extend(frame(HEADERS, 0, 1, &block[..3]));
        sent.extend(frame(CONTINUATION, END_HEADERS, 1, &block[3..]));
        sent.extend(frame(0, END_STREAM, 1, b"data"));
        for size in [1, 5, 1000] {
            let mut rewriter = Rewriter::new();
            let mut out = Vec::new();
            for piece in sent.chunks(size) {
                match rewriter.way {
                    Way::AsTheyCome => out.extend(piece),
                    _ => rewriter.take(piece).expect("good frames"),
                }
            }
            assert!(rewriter.way == Way::AsTheyCome);
            assert_eq!([rewriter.ready.0, out].concat(), sent);
        }
    }

    #[test]
    fn nonsense_is_an_error() {
        for frame in [
            frame(HEADERS, END_HEADERS | PADDED, 1, b""),
            frame(HEADERS, END_HEADERS | PADDED, 1, &[9, 1, 2]),
            frame(HEADERS, END_HEADERS | PRIORITY, 1, &[1, 2]),
            frame(HEADERS, END_HEADERS, 1, &[0xff; 8]),
        ] {
            let mut rewriter = Rewriter::new();
            rewriter.preface = 0;
            assert!(rewriter.take(&frame).is_err());
        }
    }
}
