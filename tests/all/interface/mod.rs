//! The keys, and the files that are generated from the code.

mod architecture;
mod config;
mod generated;
mod header_statuses;
