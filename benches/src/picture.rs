//! Time over size.
use crate::results::Table;
pub fn draw(_table: &Table) -> Option<String> {
    None
}
