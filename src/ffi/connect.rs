//! The callback that connects to the runtime, and how crigc takes over the descriptors that it returns.

use super::boundary::Context;
use super::callbacks::change;
use super::config::gc_config;
use crate::hooks::{Descriptor, Hook, Service};
use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// A service of the runtime.
pub type gc_service = i32;
/// The RuntimeService: containers and pod sandboxes.
pub const GC_SERVICE_RUNTIME: gc_service = 0;
/// The ImageService: images.
pub const GC_SERVICE_IMAGE: gc_service = 1;

/// The first number that is not a standard stream. crigc's own descriptors have no lower one: what a host prints to standard error must
/// not get into a connection.
const FIRST: c_int = 3;

/// Connects to a service of the runtime. Returns the descriptor of a stream socket that is connected (unix, vsock or TCP), or -1 if
/// there is no connection; the pass then fails with GC_ERROR_UNAVAILABLE, as it does if the descriptor is not such a socket.
///
/// The library owns the socket from the moment that the callback returns it, also if it is not one that is connected: it moves it to a
/// descriptor with another number, which is close-on-exec, makes it non-blocking, and closes it at the end of the pass. Do not use or
/// close the returned number again, and return a new one each time. A TCP socket also gets TCP_NODELAY. A descriptor that is not a
/// socket, such as a 0 by mistake, stays the host's: it is neither used nor closed.
///
/// A container pass, and a pass over one pod, makes one connection, for GC_SERVICE_RUNTIME. An image pass makes two, for GC_SERVICE_IMAGE
/// and then for GC_SERVICE_RUNTIME, also if both services are at one endpoint; so does each look between periodic image passes, which
/// there are with image-maximum-gc-age. If a connection breaks during a pass, the pass asks for another one, until the callback had none
/// 10 times in a row. While the callback connects, no deadline and no cancel ends the pass: give the connect a time limit of its own.
pub type gc_connect_fn =
    Option<unsafe extern "C" fn(context: *mut c_void, service: gc_service) -> c_int>;

/// Sets the callback that connects to the runtime. With it container-runtime-endpoint and image-service-endpoint are only names: they
/// may be any text, stand in messages, and the records in image-records-file belong to the name of the image service. Without it the
/// library connects to the unix sockets that these keys name. A NULL function clears it. With a NULL config, and in a callback, it does
/// nothing.
///
/// # Safety
/// As for gc_config_set_log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_config_set_connect(
    config: *mut gc_config,
    function: gc_connect_fn,
    context: *mut c_void,
) {
    let context = Context(context);
    let hook = function.map(|f| {
        let connect = move |service: Service| {
            // SAFETY: a plain number; the function is the host's.
            let number = context.call(|context| unsafe { f(context, service as gc_service) });
            take_over(number)
        };
        Hook::new(Box::new(connect) as _)
    });
    // SAFETY: the host's promise.
    unsafe { change(config, |hooks| hooks.connect = hook) };
}

/// Takes over a socket that the host returned; `None` = it returned none.
fn take_over(number: c_int) -> Option<Descriptor> {
    (number >= 0).then(|| Descriptor {
        number,
        socket: moved(number),
    })
}

/// Moves a socket to a number that the host does not know. If the host uses the old number once more by mistake, this hits no connection of
/// crigc, and nothing is closed twice.
fn moved(number: c_int) -> io::Result<OwnedFd> {
    let mut kind: c_int = 0;
    let mut length = size_of_val(&kind) as libc::socklen_t;
    let (kind, length) = ((&raw mut kind).cast(), &raw mut length);
    // SAFETY: the kernel looks the number up, and writes to two variables that are large enough.
    let found = unsafe { libc::getsockopt(number, libc::SOL_SOCKET, libc::SO_TYPE, kind, length) };
    if found < 0 {
        // It is not what the host meant: to close it might close somebody else's file.
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above, without a variable.
    let own = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, FIRST) };
    let error = io::Error::last_os_error();
    // SAFETY: the host gave this socket away, and crigc keeps only the other number.
    unsafe { libc::close(number) };
    if own < 0 {
        return Err(error);
    }
    // SAFETY: it was just made, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(own) })
}
