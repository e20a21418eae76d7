"""The module has what crigc.h has: sizes, offsets, values and functions, as a C compiler sees them."""

import ctypes
import unittest
from typing import Any, Dict, Type

import crigc
import crigc_cffi
from nodes import HEADER, layout

STRUCTS: Dict[str, Type[ctypes.Structure]] = {"gc_entry": crigc._Entry, "gc_fs_usage": crigc._FsUsage, "gc_pace": crigc._Pace}
# How the names of constants begin, and which enumeration has the rest. The first that fits counts.
ENUMERATIONS: "list[tuple[str, Any]]" = [
    ("GC_ERROR_", crigc.Status),
    ("GC_POD_LOGS", None),
    ("GC_POD_GONE", None),
    ("GC_POD_", crigc.PodState),
    ("GC_LOG_LINK", None),
    ("GC_LOG_", crigc.LogLevel),
    ("GC_PASS_", crigc.Pass),
    ("GC_SERVICE_", crigc.Service),
]
ALONE = {
    "GC_ABI": crigc.ABI,
    "GC_OK": crigc.Status.OK,
    "GC_ANY_KIND": crigc.Kind.ANY,
    "GC_ANY_OUTCOME": crigc.Outcome.ANY,
    **dict(zip(("GC_VERSION_MAJOR", "GC_VERSION_MINOR", "GC_VERSION_PATCH"), map(int, crigc.version().split(".")))),
}


def in_python(name: str) -> int:
    """The value that the module has for a constant of C."""
    if name in ALONE:
        return ALONE[name]
    for begin, enumeration in ENUMERATIONS:
        if name.startswith(begin) and enumeration is not None:
            return int(enumeration[name[len(begin) :]])
        if name == begin:
            break
    for enumeration in (crigc.Flags, crigc.Kind, crigc.Outcome):
        if name[3:] in enumeration.__members__:
            return int(enumeration[name[3:]])
    raise KeyError(f"crigc.py does not have {name}")


class Layout(unittest.TestCase):
    c = layout()

    def test_constants_have_the_values_of_c(self) -> None:
        self.assertGreater(len(self.c["constant"]), 35)
        for name, value in self.c["constant"].items():
            self.assertEqual(in_python(name), value, name)

    def test_structs_have_the_layout_of_c(self) -> None:
        structs = [name for name in self.c["sizeof"] if name in STRUCTS or f"{name}." in str(self.c["offsetof"])]
        self.assertEqual(sorted(structs), sorted(STRUCTS))
        for name, struct in STRUCTS.items():
            self.assertEqual(ctypes.sizeof(struct), self.c["sizeof"][name], name)
        of_c = {field: (offset, self.c["size"][field]) for field, offset in self.c["offsetof"].items()}
        of_python = {
            f"{name}.{field[0]}": (getattr(struct, field[0]).offset, getattr(struct, field[0]).size)
            for name, struct in STRUCTS.items()
            for field in struct._fields_
        }
        self.assertEqual(of_python, of_c)

    def test_functions_take_what_those_of_c_take(self) -> None:
        self.assertGreater(len(self.c["function"]), 45)
        ffi, lib = crigc_cffi.load(HEADER, crigc._library._name)
        for name in self.c["function"]:
            if name == "gc_abi":
                continue  # it is called once, at import
            of_c = ffi.typeof(getattr(lib, name))
            of_python = getattr(crigc, f"_{name}")
            self.assertEqual([shape_in_c(t) for t in of_c.args], [shape(t) for t in of_python.argtypes], name)
            self.assertEqual(shape_in_c(of_c.result), shape(of_python.restype), name)

    def test_callbacks_take_what_those_of_c_take(self) -> None:
        ffi, _ = crigc_cffi.load(HEADER, crigc._library._name)
        callbacks = ["log", "pod_states", "approve", "image_fs", "event", "progress", "pass", "clock", "connect"]
        for name in callbacks:
            of_c = ffi.typeof(f"gc_{name}_fn")
            of_python: Any = getattr(crigc, "_" + "".join(map(str.capitalize, name.split("_"))) + "C")
            self.assertEqual([shape_in_c(t) for t in of_c.args], [shape(t) for t in of_python._argtypes_], name)
            self.assertEqual(shape_in_c(of_c.result), shape(of_python._restype_), name)


def shape(of: Any) -> str:
    """A type of ctypes: a pointer, nothing, or a number with its sign and size."""
    if of is None:
        return "nothing"
    code = getattr(of, "_type_", None)
    if not isinstance(code, str) or code in "zP":
        return "pointer"
    return f"{'real' if code in 'fd' else 'signed' if code.islower() else 'unsigned'} {ctypes.sizeof(of)}"


def shape_in_c(of: Any) -> str:
    """The same of a type of cffi."""
    import cffi

    ffi = cffi.FFI()
    if of.kind == "void":
        return "nothing"
    if of.kind in ("pointer", "function"):
        return "pointer"
    if of.cname == "double":
        return "real 8"
    return f"{'signed' if int(ffi.cast(of, -1)) < 0 else 'unsigned'} {ffi.sizeof(of)}"
