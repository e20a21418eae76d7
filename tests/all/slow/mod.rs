//! Tests that wait long, compute much or measure time. `make check` leaves them out, `make test` does not.

mod each_call;
mod hostile;
mod large;
mod random;
mod space;
mod waits;
mod window;
