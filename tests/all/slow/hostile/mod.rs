//! Names and lists as an attacker would choose them.

mod lists;
mod names;
