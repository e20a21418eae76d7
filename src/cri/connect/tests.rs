//! What a runtime's HTTP/2 can do to a call, by a server of h2's at the other end of a pair of sockets.

use super::*;
use crate::config::{RUNTIME_KEY, Settings};
use crate::cri::call::{self, Sink};
use crate::stop::Flag;
use h2::server::{self, SendResponse};
use http::HeaderMap;

/// More than the window of a connection.
const LARGE: usize = 3 * CONNECTION_WINDOW as usize;

type Server = server::Connection<UnixStream, Bytes>;

/// Counts the bytes of an answer.
struct Count(usize);

impl Sink for Count {
    fn take(&mut self, bytes: &[u8]) -> Result<(), CallError> {
        self.0 += bytes.len();
        Ok(())
    }
}

/// Makes a call that the server answers in some way: the bytes of the answer, or why the call failed, and whether a second call has to
/// connect anew.
fn answered(
    answer: impl Fn(&mut Server, SendResponse<Bytes>) -> bool,
) -> (Result<usize, CallError>, bool) {
    let mut settings = Settings::default();
    settings
        .set(RUNTIME_KEY, "/nobody/listens")
        .expect("a path");
    let config = settings.config();
    let closed = Arc::new(Flag::new());
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    tokio.block_on(async {
        let (ours, theirs) = UnixStream::pair().expect("sockets");
        let panicked = Panicked::default();
        let serve = tokio::spawn(async move {
            let mut server = server::handshake(theirs).await.expect("HTTP/2");
            Some(server.accept().await?.expect("a call")).map(|(_, respond)| (server, respond))
        });
        let session = handshake(QuietStream(ours), &panicked).await;
        let connection = Connection {
            place: Place {
                endpoint: &config.container_runtime_endpoint,
                key: RUNTIME_KEY,
                service: Service::Runtime,
                callback: None,
            },
            stop: Stop {
                closed: &closed,
                stopped: None,
                call: None,
                pass_deadline: None,
            },
            session: Mutex::new(session.expect("HTTP/2")),
            panicked,
            refusals: Cell::new(0),
        };
        let mut count = Count(0);
        let made = {
            let call = call::call(&connection, "/service/Method", Bytes::new(), &mut count);
            let served = async {
                let (mut server, respond) = serve.await.expect("no panic").expect("a call");
                if answer(&mut server, respond) {
                    // Until the client is gone.
                    while server.accept().await.is_some() {}
                }
            };
            let mut call = std::pin::pin!(call);
            tokio::select! {
                made = &mut call => made,
                () = served => call.await,
            }
        };
        let again = matches!(connection.session().await, Err(CallError::Unreachable(_)));
        (made.map(|()| count.0), again)
    })
}

fn head(respond: &mut SendResponse<Bytes>) -> h2::SendStream<Bytes> {
    let sent = respond.send_response(Response::new(()), false);
    sent.expect("a head")
}

fn trailers(stream: &mut h2::SendStream<Bytes>) {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().expect("a number"));
    stream.send_trailers(trailers).expect("trailers");
}

/// The text of an error, and whether it says that the runtime is gone or does not serve now.
fn told(error: &CallError) -> (bool, &str) {
    match error {
        CallError::Unavailable(text) => (true, text),
        CallError::Garbage(text) => (false, text),
        e => panic!("{e:?}"),
    }
}

#[test]
fn a_call_tells_why_its_stream_or_its_connection_ended() {
    let reset = |reason| {
        answered(move |_, mut respond| {
            respond.send_reset(reason);
            true
        })
    };
    for (what, (made, again), is_gone, says, is_over) in [
        (
            "refused",
            reset(Reason::REFUSED_STREAM),
            true,
            "refused the call",
            false,
        ),
        (
            "cancelled",
            reset(Reason::CANCEL),
            true,
            "refused the call",
            false,
        ),
        (
            "too much",
            reset(Reason::ENHANCE_YOUR_CALM),
            true,
            "refused the call",
            false,
        ),
        (
            "broken",
            reset(Reason::INTERNAL_ERROR),
            false,
            "h2 protocol error",
            false,
        ),
        (
            "ended early",
            answered(|_, mut respond| {
                let mut stream = head(&mut respond);
                stream.send_reset(Reason::NO_ERROR);
                true
            }),
            false,
            "it ended without a status",
            false,
        ),
        (
            "shut down",
            answered(|server, _| {
                server.abrupt_shutdown(Reason::NO_ERROR);
                true
            }),
            true,
            "the connection broke",
            true,
        ),
        (
            "closed",
            answered(|_, _| false),
            true,
            "the runtime closed it",
            true,
        ),
    ] {
        let error = made.expect_err(what);
        let (gone, text) = told(&error);
        assert!(gone == is_gone && text.contains(says), "{what}: {error:?}");
        assert_eq!(again, is_over, "{what}: the next call connects anew");
    }
}

#[test]
fn a_long_answer_gets_its_windows_back() {
    let (made, _) = answered(|_, mut respond| {
        let mut stream = head(&mut respond);
        stream
            .send_data(vec![7; LARGE].into(), false)
            .expect("data");
        trailers(&mut stream);
        true
    });
    assert_eq!(made.expect("an answer"), LARGE);
}
