//! Objects that wait: held ones, ones that are left alone after a failure, and whose turn it is (S0.7, S0.8).

mod hold_and_backoff;
mod late;
mod order;
