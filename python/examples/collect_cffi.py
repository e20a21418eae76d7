"""Makes a dry run and prints what crigc would remove. Arguments: crigc.h, libcrigc.so, and keys as KEY=VALUE."""

import sys

import crigc_cffi

header, library, *settings = sys.argv[1:]
ffi, lib = crigc_cffi.load(header, library)
config = ffi.gc(lib.gc_config_new(), lib.gc_config_free)
for setting in settings:
    if lib.gc_config_set(config, *setting.encode().split(b"=", 1), ffi.NULL) != lib.GC_OK:
        sys.exit(f"bad setting: {setting}")
engine = ffi.gc(lib.gc_engine_new(config, ffi.NULL), lib.gc_engine_free)
reports, errors = ffi.new("gc_report **"), ffi.new("gc_error **")
status = lib.gc_containers(engine, lib.GC_DRY_RUN, ffi.NULL, reports, errors)
report, error = ffi.gc(reports[0], lib.gc_report_free), ffi.gc(errors[0], lib.gc_error_free)
for i in range(lib.gc_report_len(report)):
    entry = lib.gc_report_entry(report, i)
    if entry.outcome == lib.GC_REMOVED:
        print(ffi.string(entry.id).decode(), ffi.string(entry.reason).decode())
if status != lib.GC_OK:
    sys.exit(ffi.string(lib.gc_error_message(error)).decode())
