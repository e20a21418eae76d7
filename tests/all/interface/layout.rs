//! C and Rust see the same sizes, offsets and numbers. `ffi-tests/layout.awk` makes a C program that prints those of the header.

use crigc::ffi::callbacks::*;
use crigc::ffi::connect::*;
use crigc::ffi::engine::*;
use crigc::ffi::error::*;
use crigc::ffi::report::*;
use std::collections::BTreeMap;
use std::mem::{offset_of, size_of};
use std::process::Command;

/// What a line begins with and names -> its number.
type Layout = BTreeMap<String, i64>;

/// The header, as the C compiler sees it. Functions have no layout.
fn in_c() -> Layout {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("layout");
    let made = "awk -f ffi-tests/layout.awk include/crigc.h | cc -x c -Iinclude - -o \"$0\"";
    let compiled = Command::new("sh").args(["-c", made]).arg(&program).status();
    assert!(compiled.expect("a shell").success());
    let printed = Command::new(program).output().expect("it runs").stdout;
    String::from_utf8(printed)
        .expect("UTF-8")
        .lines()
        .filter(|line| !line.starts_with("function ") && !line.contains("GC_VERSION_"))
        .map(|line| line.rsplit_once(' ').expect("a number"))
        .map(|(name, number)| (name.to_owned(), number.parse().expect("a number")))
        .collect()
}

fn number(size: usize) -> i64 {
    i64::try_from(size).expect("small")
}

fn size_of_field<S, F>(_: fn(&S) -> &F) -> i64 {
    number(size_of::<F>())
}

/// Size, offsets and sizes of the fields of a struct.
macro_rules! put_struct {
    ($into:ident, $name:ident: $($field:ident)*) => {
        $into.insert(format!("sizeof {}", stringify!($name)), number(size_of::<$name>()));
        $(
            let field = concat!(stringify!($name), ".", stringify!($field));
            $into.insert(format!("offsetof {field}"), number(offset_of!($name, $field)));
            $into.insert(format!("size {field}"), size_of_field(|of: &$name| &of.$field));
        )*
    };
}

macro_rules! put_numbers {
    ($into:ident, $($name:ident)*) => {
        $($into.insert(format!("constant {}", stringify!($name)), i64::from($name));)*
    };
}

macro_rules! put_types {
    ($into:ident, $($name:ident)*) => {
        $($into.insert(format!("sizeof {}", stringify!($name)), number(size_of::<$name>()));)*
    };
}

fn in_rust() -> Layout {
    let mut all = Layout::new();
    put_struct!(all, gc_entry: kind outcome id name pod_uid reason error bytes);
    put_struct!(all, gc_fs_usage: capacity available inodes inodes_free);
    put_struct!(all, gc_pace: in_flight_mean in_flight_most rest_seconds);
    put_types!(all, gc_status gc_log_level gc_pod_state gc_kind gc_outcome gc_pass gc_service);
    put_numbers!(all, GC_ABI GC_DRY_RUN GC_ALL_UNUSED GC_NO_WAIT GC_POD_GONE);
    put_numbers!(all, GC_OK GC_ERROR_INVALID_ARGUMENT GC_ERROR_CONFIG GC_ERROR_UNAVAILABLE GC_ERROR_RUNTIME GC_ERROR_TIMEOUT);
    put_numbers!(all, GC_ERROR_CANCELLED GC_ERROR_IO GC_ERROR_NOT_ENOUGH_FREED GC_ERROR_INTERNAL GC_ERROR_BUSY GC_ERROR_CLOSED);
    put_numbers!(all, GC_ERROR_CONTRADICTION GC_POD_CONTENT_REMOVABLE GC_POD_RUNTIME_REMOVABLE);
    put_numbers!(all, GC_LOG_ERROR GC_LOG_WARN GC_LOG_INFO GC_LOG_DEBUG GC_PASS_CONTAINERS GC_PASS_IMAGES GC_PASS_POD);
    put_numbers!(all, GC_SERVICE_RUNTIME GC_SERVICE_IMAGE);
    put_numbers!(all, GC_CONTAINER GC_SANDBOX GC_POD_LOGS GC_LOG_LINK GC_IMAGE GC_ANY_KIND);
    put_numbers!(all, GC_KEPT GC_REMOVED GC_FAILED GC_REFUSED GC_ANY_OUTCOME);
    all
}

#[test]
fn c_and_rust_see_the_same_layouts() {
    let (c, rust) = (in_c(), in_rust());
    assert!(c.len() > 70, "the header is read wrongly: {c:?}");
    assert_eq!(c, rust);
}
