//! The keys, and what is written down: the files that are generated from the code, and the documents.

mod architecture;
mod compared;
mod config;
mod documents;
mod features;
mod generated;
mod header_statuses;
mod layout;
mod load;
mod load_tables;
mod packages;
