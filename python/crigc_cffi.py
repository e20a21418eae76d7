"""crigc.h for cffi. `cffi.FFI.cdef` reads declarations only; `definitions` leaves out what it refuses: comments, and lines for the
preprocessor.

    ffi, lib = crigc_cffi.load("/usr/local/include/crigc.h", "libcrigc.so.1")
    config = ffi.gc(lib.gc_config_new(), lib.gc_config_free)

Integers that the header defines are there, such as lib.GC_DRY_RUN. What a callback of `ffi.callback` raises counts as 0, which removes
nothing; cffi prints it. For gc_connect_fn give `ffi.callback(..., error=-1)`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_COMMENT = r"/\*.*?\*/|//[^\n]*"
_FOR_CPP = r"^#ifdef __cplusplus\n.*?^#endif[^\n]*\n"
# All but `#define NAME NUMBER`.
_PREPROCESSOR = r'^#(?!define \w+ [^"\n])[^\n]*\n'
_LEFT_OUT = re.compile("|".join((_COMMENT, _FOR_CPP, _PREPROCESSOR)), re.S | re.M)
_IN_PARENTHESES = re.compile(r"^(#define \w+) \((-?\d+)\)$", re.M)


def definitions(header: str | Path) -> str:
    """The text of crigc.h as cffi.FFI.cdef takes it."""
    return _IN_PARENTHESES.sub(r"\1 \2", _LEFT_OUT.sub("", Path(header).read_text(encoding="utf-8")))


def load(header: str | Path, library: str = "libcrigc.so.1") -> tuple[Any, Any]:
    """An FFI that knows crigc.h, and the opened library. Fails if they are of different interfaces."""
    import cffi

    ffi = cffi.FFI()
    ffi.cdef(definitions(header))
    lib: Any = ffi.dlopen(library)
    if lib.gc_abi() != lib.GC_ABI:
        raise ImportError(f"{library} has interface {lib.gc_abi()}, and {header} is for {lib.GC_ABI}; use both of one release")
    return ffi, lib
