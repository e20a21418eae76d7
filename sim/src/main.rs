//! The program `crisim`.
fn main() {}
