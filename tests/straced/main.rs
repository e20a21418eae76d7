//! Tests that start this program again, under strace or to be killed. Apart from all others, because what strace counts and makes fail
//! are the system calls of a whole process: it has to be small, and always the same.

mod host_root;
mod log_files;
mod records_file;
mod records_writer;
