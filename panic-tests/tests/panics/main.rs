//! Tests of passes that panic on purpose. A package of their own: the feature `panic-points` holds for all of a build, and all other
//! tests run the code that is shipped.

mod ahead;
mod panicking;
mod passes;
