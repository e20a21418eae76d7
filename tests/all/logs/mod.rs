//! Whole passes over logs and links (S2.4, S4).

mod host_root;
mod left_behind;
mod orphans;
mod places;
mod shipper;
mod trees_and_links;
