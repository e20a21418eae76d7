//! Lists that do not fit a message, and lists that are streamed (S7).

mod bounds;
mod images;
mod many;
mod parts;
