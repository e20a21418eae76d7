"""crigc for Python, by ctypes and the shared library libcrigc.so. One file: copy it, or put its folder on PYTHONPATH.

    import crigc

    config = crigc.Config({"container-runtime-endpoint": "unix:///run/containerd/containerd.sock"})
    with crigc.Engine(config) as engine:
        for entry in engine.containers(crigc.Flags.DRY_RUN):
            print(entry.outcome, entry.id, entry.reason_text)

include/crigc.h is the manual; what is written here is what is different in Python.

The library. The environment variable CRIGC_LIBRARY names the file; without it the dynamic linker looks for libcrigc.so.1. The import fails
with ImportError if there is none, or if it has another interface (gc_abi) than this module.

Failures. A function that fails raises Error, or the subclass for its status. The error of a pass has the report, if the pass began.

Callbacks. What a callback raises counts as the answer that removes nothing. The call that made it raises the first such exception again when
the pass is over; Config.on_pass still receives the report of that pass. An exception in a periodic pass goes to threading.excepthook.

Threads. Calls release the GIL. A pass runs on a thread of its own, and so do its callbacks, while its caller waits: so an exception in the
caller, such as KeyboardInterrupt, cancels the pass and is raised once the pass is over. Engines that are open when the interpreter exits are
closed then. An engine does not survive os.fork.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import enum
import functools
import math
import os
import socket
import ssl
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from ctypes import c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from typing import Any, Tuple, Union, overload

ABI = 1
"""The interface that this module was written for: GC_ABI of the header."""


def _load() -> ctypes.CDLL:
    path = os.environ.get("CRIGC_LIBRARY") or f"libcrigc.so.{ABI}"
    try:
        library = ctypes.CDLL(path)
        found = library.gc_abi()
    except (OSError, AttributeError) as error:
        raise ImportError(f"cannot load the crigc library: {error}; set CRIGC_LIBRARY to the path of libcrigc.so") from error
    if found != ABI:
        raise ImportError(f"{path} has interface {found}, and crigc.py is for {ABI}; use both of one release")
    return library


_library = _load()


def _function(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    function = getattr(_library, name)
    function.restype, function.argtypes = result, arguments
    return function  # type: ignore[no-any-return]


# What C calls a type, as ctypes has it. Names begin with an underscore because they are not for users of the module.


class _Entry(ctypes.Structure):
    _fields_ = [
        ("kind", c_int32),
        ("outcome", c_int32),
        ("id", c_char_p),
        ("name", c_char_p),
        ("pod_uid", c_char_p),
        ("reason", c_char_p),
        ("error", c_char_p),
        ("bytes", c_uint64),
    ]


class _FsUsage(ctypes.Structure):
    _fields_ = [("capacity", c_uint64), ("available", c_uint64), ("inodes", c_uint64), ("inodes_free", c_uint64)]


class _Pace(ctypes.Structure):
    _fields_ = [("in_flight_mean", c_double), ("in_flight_most", c_uint64), ("rest_seconds", c_double)]


_LogC = ctypes.CFUNCTYPE(None, c_void_p, c_int32, c_char_p)
_PodStatesC = ctypes.CFUNCTYPE(
    c_int32, c_void_p, ctypes.POINTER(c_char_p), ctypes.POINTER(c_uint32), c_size_t, ctypes.POINTER(c_int64)
)
_ApproveC = ctypes.CFUNCTYPE(c_int32, c_void_p, ctypes.POINTER(_Entry))
_ImageFsC = ctypes.CFUNCTYPE(c_int32, c_void_p, ctypes.POINTER(_FsUsage))
_EventC = ctypes.CFUNCTYPE(None, c_void_p, c_char_p, c_char_p)
_ProgressC = ctypes.CFUNCTYPE(None, c_void_p, c_int32, c_size_t, c_size_t)
_PassC = ctypes.CFUNCTYPE(None, c_void_p, c_int32, c_int32, c_void_p, c_void_p)
_ClockC = ctypes.CFUNCTYPE(c_int64, c_void_p)
_ConnectC = ctypes.CFUNCTYPE(c_int, c_void_p, c_int32)

_Out = ctypes.POINTER(c_void_p)

_gc_engine_new = _function("gc_engine_new", c_void_p, c_void_p, _Out)
_gc_close = _function("gc_close", None, c_void_p)
_gc_engine_free = _function("gc_engine_free", None, c_void_p)
_gc_containers = _function("gc_containers", c_int32, c_void_p, c_uint32, c_void_p, _Out, _Out)
_gc_images = _function("gc_images", c_int32, c_void_p, c_uint32, c_void_p, _Out, _Out)
_gc_pod = _function("gc_pod", c_int32, c_void_p, c_char_p, c_uint32, c_void_p, _Out, _Out)
_gc_start = _function("gc_start", c_int32, c_void_p, _Out)
_gc_stop = _function("gc_stop", None, c_void_p)
_gc_metrics = _function("gc_metrics", c_void_p, c_void_p)
_gc_version = _function("gc_version", c_char_p)
_gc_string_free = _function("gc_string_free", None, c_void_p)
_gc_status_name = _function("gc_status_name", c_char_p, c_int32)
_gc_error_status = _function("gc_error_status", c_int32, c_void_p)
_gc_error_message = _function("gc_error_message", c_char_p, c_void_p)
_gc_error_free = _function("gc_error_free", None, c_void_p)
_gc_config_new = _function("gc_config_new", c_void_p)
_gc_config_set = _function("gc_config_set", c_int32, c_void_p, c_char_p, c_char_p, _Out)
_gc_config_get = _function("gc_config_get", c_void_p, c_void_p, c_char_p, _Out)
_gc_config_load = _function("gc_config_load", c_int32, c_void_p, c_char_p, _Out)
_gc_config_free = _function("gc_config_free", None, c_void_p)
_gc_config_key = _function("gc_config_key", c_char_p, c_size_t)
_gc_config_key_help = _function("gc_config_key_help", c_char_p, c_char_p)
_gc_config_set_log = _function("gc_config_set_log", None, c_void_p, c_int32, _LogC, c_void_p)
_gc_config_set_pod_states = _function("gc_config_set_pod_states", None, c_void_p, _PodStatesC, c_void_p)
_gc_config_set_approve = _function("gc_config_set_approve", None, c_void_p, _ApproveC, c_void_p)
_gc_config_set_image_fs = _function("gc_config_set_image_fs", None, c_void_p, _ImageFsC, c_void_p)
_gc_config_set_event = _function("gc_config_set_event", None, c_void_p, _EventC, c_void_p)
_gc_config_set_progress = _function("gc_config_set_progress", None, c_void_p, _ProgressC, c_void_p)
_gc_config_set_pass = _function("gc_config_set_pass", None, c_void_p, _PassC, c_void_p)
_gc_config_set_clock = _function("gc_config_set_clock", None, c_void_p, _ClockC, c_void_p)
_gc_config_set_connect = _function("gc_config_set_connect", None, c_void_p, _ConnectC, c_void_p)
_gc_call_new = _function("gc_call_new", c_void_p, c_uint64)
_gc_call_cancel = _function("gc_call_cancel", None, c_void_p)
_gc_call_free = _function("gc_call_free", None, c_void_p)
_gc_report_dry_run = _function("gc_report_dry_run", c_int32, c_void_p)
_gc_report_started = _function("gc_report_started", c_int64, c_void_p)
_gc_report_seconds = _function("gc_report_seconds", c_double, c_void_p)
_gc_report_status = _function("gc_report_status", c_int32, c_void_p)
_gc_report_fs_before = _function("gc_report_fs_before", ctypes.POINTER(_FsUsage), c_void_p)
_gc_report_fs_after = _function("gc_report_fs_after", ctypes.POINTER(_FsUsage), c_void_p)
_gc_report_pace = _function("gc_report_pace", ctypes.POINTER(_Pace), c_void_p, c_int32)
_gc_report_count = _function("gc_report_count", c_size_t, c_void_p, c_int32, c_int32)
_gc_report_bytes_freed = _function("gc_report_bytes_freed", c_uint64, c_void_p)
_gc_report_len = _function("gc_report_len", c_size_t, c_void_p)
_gc_report_entry = _function("gc_report_entry", ctypes.POINTER(_Entry), c_void_p, c_size_t)
_gc_report_json = _function("gc_report_json", c_void_p, c_void_p)
_gc_report_explain = _function("gc_report_explain", c_void_p, c_void_p, c_size_t)
_gc_report_free = _function("gc_report_free", None, c_void_p)
_gc_kind_name = _function("gc_kind_name", c_char_p, c_int32)
_gc_outcome_name = _function("gc_outcome_name", c_char_p, c_int32)
_gc_reason_text = _function("gc_reason_text", c_char_p, c_char_p)


class _Number(enum.IntEnum):
    """A number of the library. One that a later version added is a member, too: its name is UNKNOWN_ and the number."""

    @classmethod
    def _missing_(cls, value: object) -> _Number | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_, member._value_ = f"UNKNOWN_{value}", value
        return member


class Status(_Number):
    """How a call ended. str() is the name in crigc.h, such as GC_ERROR_TIMEOUT."""

    OK = 0
    INVALID_ARGUMENT = 1
    CONFIG = 2
    UNAVAILABLE = 3
    RUNTIME = 4
    TIMEOUT = 5
    CANCELLED = 6
    IO = 7
    NOT_ENOUGH_FREED = 8
    INTERNAL = 9
    BUSY = 10
    CLOSED = 11
    CONTRADICTION = 12

    def __str__(self) -> str:
        return _text(_gc_status_name(self))


class Kind(_Number):
    """The kind of an object. str() is the word of the report's JSON, such as pod-logs."""

    ANY = -1
    CONTAINER = 0
    SANDBOX = 1
    POD_LOGS = 2
    LOG_LINK = 3
    IMAGE = 4

    def __str__(self) -> str:
        return _text(_gc_kind_name(self))


class Outcome(_Number):
    """What happened to an object; treat one that you do not know as KEPT. str() is the word of the report's JSON, such as removed."""

    ANY = -1
    KEPT = 0
    REMOVED = 1
    FAILED = 2
    REFUSED = 3

    def __str__(self) -> str:
        return _text(_gc_outcome_name(self))


class Pass(_Number):
    """The kind of a pass."""

    CONTAINERS = 0
    IMAGES = 1
    POD = 2


class Service(_Number):
    """A service of the runtime."""

    RUNTIME = 0
    IMAGE = 1


class LogLevel(_Number):
    """The level of a log message."""

    ERROR = 0
    WARN = 1
    INFO = 2
    DEBUG = 3


class Flags(enum.IntFlag):
    """Flags of a pass, joined with |."""

    NONE = 0
    DRY_RUN = 1
    ALL_UNUSED = 2
    NO_WAIT = 4
    POD_GONE = 8
    """Of Engine.pod alone."""


class PodState(enum.IntFlag):
    """What may be removed of a pod, as bits joined with |."""

    KEEP = 0
    CONTENT_REMOVABLE = 1
    RUNTIME_REMOVABLE = 2


@dataclass(frozen=True)
class Entry:
    """One object that a pass decided on."""

    kind: Kind
    outcome: Outcome
    id: str
    """The ID of a container, sandbox or image, or the path of logs or a link."""
    name: str
    """namespace/pod/container, namespace/pod, or the image's first tag; "" if none."""
    pod_uid: str
    """The UID of its pod; "" if none."""
    reason: str
    """A stable word: why it was removed, was to be removed, or was kept."""
    error: str | None
    """What failed; None unless the outcome is FAILED or REFUSED."""
    bytes: int
    """The size of an image in bytes; 0 for other kinds."""

    @property
    def reason_text(self) -> str:
        """A sentence for people about the reason."""
        return reason_text(self.reason)


@dataclass(frozen=True)
class FsUsage:
    """Size and use of a filesystem: bytes, and inodes (0 = unknown)."""

    capacity: int
    available: int
    inodes: int = 0
    inodes_free: int = 0


@dataclass(frozen=True)
class Pace:
    """How the removals of one kind ran: how many at once, and for how many seconds nothing was begun because they had become slow."""

    in_flight_mean: float
    in_flight_most: int
    rest_seconds: float


class Error(Exception):
    """A failure of the library."""

    def __init__(self, status: Status, message: str, report: Report | None = None) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message
        self.report = report
        """What a failed pass did; None if it never began, for other calls, and for a copy (copy, pickle)."""

    def __reduce__(self) -> tuple[type[Error], tuple[Status, str]]:
        return type(self), (self.status, self.message)


class InvalidArgument(Error, ValueError):
    """A key, a value or a flag is wrong by itself, or a clock returned 0 or less."""


class ConfigError(Error):
    """Values are wrong only together, or what is in a file of Config.load is."""


class Unavailable(Error):
    """No runtime answers at the endpoint."""


class RuntimeFailed(Error):
    """The runtime answered with an error, or with something that is not CRI."""


class TimedOut(Error):
    """A deadline passed: that of the call, of the pass, or of one request."""


class Cancelled(Error):
    """The call was cancelled."""


class IoFailed(Error):
    """A file or filesystem of the host cannot be read, or the process can get no more descriptors or threads."""


class NotEnoughFreed(Error):
    """Less was freed than image-gc-low-threshold or image-gc-min-available asks for."""


class Internal(Error):
    """crigc panicked, which is a bug in crigc."""


class Busy(Error):
    """A pass of this kind runs (NO_WAIT), another engine holds image-records-file, or a callback called."""


class Closed(Error):
    """The engine was closed."""


class Contradiction(Error):
    """The host reported more than half of the pods that run, and at least two, as gone."""


_ERRORS: dict[Status, type[Error]] = {
    Status.INVALID_ARGUMENT: InvalidArgument,
    Status.CONFIG: ConfigError,
    Status.UNAVAILABLE: Unavailable,
    Status.RUNTIME: RuntimeFailed,
    Status.TIMEOUT: TimedOut,
    Status.CANCELLED: Cancelled,
    Status.IO: IoFailed,
    Status.NOT_ENOUGH_FREED: NotEnoughFreed,
    Status.INTERNAL: Internal,
    Status.BUSY: Busy,
    Status.CLOSED: Closed,
    Status.CONTRADICTION: Contradiction,
}

LogFunction = Callable[[LogLevel, str], object]
PodStates = Mapping[str, PodState]
PodStatesFunction = Callable[["list[str]"], Union[PodStates, Tuple[PodStates, int], None]]
ApproveFunction = Callable[[Entry], bool]
ImageFsFunction = Callable[[], Union[FsUsage, None]]
EventFunction = Callable[[str, str], object]
ProgressFunction = Callable[[Kind, int, int], object]
PassFunction = Callable[[Pass, "Report", Union[Error, None]], object]
ClockFunction = Callable[[], int]
ConnectFunction = Callable[[Service], Union[socket.socket, int, None]]


def version() -> str:
    """The version of the library."""
    return _text(_gc_version())


def keys() -> list[str]:
    """The keys of a Config."""
    return list(_keys())


def key_help(key: str) -> str | None:
    """What a key does, which values it takes and its default; None for an unknown key."""
    text = _gc_config_key_help(_bytes(key))
    return None if text is None else _text(text)


def reason_text(reason: str) -> str:
    """A sentence for people about the reason of an entry; "unknown" for a word that the library does not know."""
    return _text(_gc_reason_text(_bytes(reason)))


def _keys() -> Iterator[str]:
    index = 0
    while (key := _gc_config_key(index)) is not None:
        yield _text(key)
        index += 1


def _text(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _bytes(text: str) -> bytes:
    """C would take a string with a NUL inside for a shorter one."""
    if not isinstance(text, str):
        raise TypeError(f"expected a str, not {text!r} ({type(text).__name__})")
    if "\0" in text:
        raise InvalidArgument(Status.INVALID_ARGUMENT, f"{text!r} contains a NUL character; remove it")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(Status.INVALID_ARGUMENT, f"{text!r} cannot be written as UTF-8: {error.reason}") from None


def _owned_text(string: int | None) -> str | None:
    """The text of a `char *`, which it frees."""
    if not string:
        return None
    try:
        return _text(ctypes.string_at(string))
    finally:
        _gc_string_free(string)


def _copied_error(error: int) -> Error:
    status = Status(_gc_error_status(error))
    return _ERRORS.get(status, Error)(status, _text(_gc_error_message(error)))


def _taken_error(error: c_void_p) -> Error | None:
    """The exception for a `gc_error *`, which it frees."""
    if not error.value:
        return None
    try:
        return _copied_error(error.value)
    finally:
        _gc_error_free(error)


class _Here(threading.local):
    """What this thread is doing."""

    callbacks = 0
    """How many callbacks it is in."""
    raised: list[BaseException] | None = None
    """Where the callbacks of its pass leave what they raise; None on the library's own threads."""


_here = _Here()
# In a callback the library frees nothing. Python may drop an object there, so what it owned waits here for a better moment.
_waiting: list[tuple[Callable[[int], object], int]] = []


def _release(free: Callable[[int], object], handle: int) -> None:
    _waiting.append((free, handle))
    if not _here.callbacks:
        _free_what_waits()


def _free_what_waits() -> None:
    with contextlib.suppress(IndexError):
        while True:
            free, handle = _waiting.pop()
            free(handle)


def _made(handle: int | None, what: str) -> int:
    if not handle:
        raise Busy(Status.BUSY, f"a callback cannot make a {what}; make it before the pass")
    return handle


def _callback(no: int | None, function: Callable[..., int | None]) -> Callable[..., int | None]:
    """Nothing that is raised may leave a callback, because the answer that C would then get is arbitrary."""

    def called(_context: int | None, *arguments: Any) -> int | None:
        try:
            _here.callbacks += 1
            try:
                return function(*arguments)
            finally:
                _here.callbacks -= 1
        except BaseException as exception:  # noqa: B902
            with contextlib.suppress(BaseException):
                _note(exception)
            return no

    return called


def _note(exception: BaseException) -> None:
    if _here.raised is not None:
        _here.raised.append(exception)
    else:
        threading.excepthook(
            threading.ExceptHookArgs((type(exception), exception, exception.__traceback__, threading.current_thread()))
        )


def _entry(entry: _Entry) -> Entry:
    return Entry(
        Kind(entry.kind),
        Outcome(entry.outcome),
        _text(entry.id),
        _text(entry.name),
        _text(entry.pod_uid),
        _text(entry.reason),
        None if entry.error is None else _text(entry.error),
        entry.bytes,
    )


def _fs_usage(usage: Any) -> FsUsage | None:
    if not usage:
        return None
    at = usage.contents
    return FsUsage(at.capacity, at.available, at.inodes, at.inodes_free)


class Report(Sequence[Entry]):
    """What a pass decided and did: a sequence of entries. It outlives its engine, and several threads may read it at once.

    The report that Config.on_pass receives can be read during the callback only; list(report) keeps its entries.
    """

    def __init__(self, handle: int, owned: bool = True) -> None:
        self._handle: int | None = handle
        if owned:
            weakref.finalize(self, _release, _gc_report_free, handle).atexit = False

    def _get(self) -> int:
        if self._handle is None:
            raise ReferenceError("this report could be read during its callback only; keep list(report) there")
        return self._handle

    def __len__(self) -> int:
        return int(_gc_report_len(self._get()))

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> list[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | list[Entry]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return _entry(_gc_report_entry(self._get(), self._at(index)).contents)

    def _at(self, index: int) -> int:
        size = len(self)
        at = index + size if index < 0 else index
        if not 0 <= at < size:
            raise IndexError(f"the report has {size} entries, there is none at {index}")
        return at

    def __repr__(self) -> str:
        return f"<crigc.Report {self.status.name}: {len(self)} entries>"

    @property
    def dry_run(self) -> bool:
        """Whether REMOVED means "would be removed"."""
        return bool(_gc_report_dry_run(self._get()) == 1)

    @property
    def started(self) -> int:
        """When the pass began, in nanoseconds since the epoch, as time.time_ns has it."""
        return int(_gc_report_started(self._get()))

    @property
    def seconds(self) -> float:
        """How long the pass took."""
        return float(_gc_report_seconds(self._get()))

    @property
    def status(self) -> Status:
        """How the pass ended."""
        return Status(_gc_report_status(self._get()))

    @property
    def fs_before(self) -> FsUsage | None:
        """How full the image filesystem was when the pass first read it; None if it did not."""
        return _fs_usage(_gc_report_fs_before(self._get()))

    @property
    def fs_after(self) -> FsUsage | None:
        """The same when the pass last read it, after its removals."""
        return _fs_usage(_gc_report_fs_after(self._get()))

    @property
    def bytes_freed(self) -> int:
        """How many bytes the removed images had."""
        return int(_gc_report_bytes_freed(self._get()))

    def pace(self, kind: Kind) -> Pace | None:
        """How the removals of a kind ran; None if there were none."""
        pace = _gc_report_pace(self._get(), kind)
        if not pace:
            return None
        at = pace.contents
        return Pace(at.in_flight_mean, at.in_flight_most, at.rest_seconds)

    def tally(self, kind: Kind = Kind.ANY, outcome: Outcome = Outcome.ANY) -> int:
        """How many objects have this kind and this outcome: gc_report_count. (`count` is what every Python sequence has.)"""
        return int(_gc_report_count(self._get(), kind, outcome))

    def explain(self, index: int) -> str:
        """Explains the entry at an index for people: what happened to it and why, with the values that were compared."""
        return _owned_text(_gc_report_explain(self._get(), self._at(index))) or ""

    def json(self) -> str:
        """The report as one JSON object."""
        return _owned_text(_gc_report_json(self._get())) or ""


class Config(Mapping[str, str]):
    """Keys and callbacks that engines are made from. It reads like a dict of all keys, and has the kubelet's defaults at first.

    A value may be a str, as on the kubelet's command line, an int or a bool. Use a Config from one thread at a time. Each on_... function
    sets a callback, and None clears it; engines that exist keep theirs.
    """

    def __init__(self, settings: Mapping[str, str | int] | None = None) -> None:
        self._handle = _made(_gc_config_new(), "Config")
        # Functions that C knows. One that was replaced stays, too: in a callback the library does not replace it.
        self._functions: list[object] = []
        weakref.finalize(self, _release, _gc_config_free, self._handle).atexit = False
        self.update(settings or {})

    def __getitem__(self, key: str) -> str:
        error = c_void_p()
        value = _owned_text(_gc_config_get(self._handle, _bytes(key), ctypes.byref(error)))
        failure = _taken_error(error)
        if isinstance(failure, InvalidArgument):
            raise KeyError(key) from failure
        if failure is not None:
            raise failure
        return value or ""

    def __setitem__(self, key: str, value: str | int) -> None:
        if not isinstance(value, (str, int)):
            raise TypeError(f"{key} takes a str, an int or a bool, not {value!r} ({type(value).__name__})")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        error = c_void_p()
        _gc_config_set(self._handle, _bytes(key), _bytes(text), ctypes.byref(error))
        failure = _taken_error(error)
        if failure is not None:
            raise failure

    def __iter__(self) -> Iterator[str]:
        return _keys()

    def __len__(self) -> int:
        return len(keys())

    def update(self, settings: Mapping[str, str | int]) -> None:
        """Sets several keys."""
        for key, value in settings.items():
            self[key] = value

    def load(self, path: str | os.PathLike[str]) -> None:
        """Sets what the kubelet's own configuration names: a file as of its --config, or a directory as of its --config-dir.

        If anything is wrong, nothing is set. Set on_log before, to hear of what is left out; what it raises is raised again once all is set.
        """
        raised: list[BaseException] = []
        error = c_void_p()
        outer, _here.raised = _here.raised, raised
        try:
            _gc_config_load(self._handle, _bytes(os.fspath(path)), ctypes.byref(error))
        finally:
            _here.raised = outer
        failure = _taken_error(error)
        if failure is not None:
            raise failure
        if raised:
            raise raised[0]

    def on_log(self, function: LogFunction | None, up_to: LogLevel = LogLevel.INFO) -> None:
        """Receives log lines up to a level."""
        _gc_config_set_log(self._handle, up_to, self._keep(_LogC, _log, function), None)

    def on_pod_states(self, function: PodStatesFunction | None) -> None:
        """Reports which pods may be collected. The function receives UIDs and returns the states of those that are not to be kept.

        None means that the list of pods is not complete: every pod counts as existing then. If the answer describes the past, return it
        with the moment that it describes: (states, nanoseconds since the epoch).
        """
        _gc_config_set_pod_states(self._handle, self._keep(_PodStatesC, _pod_states, function), None)

    def on_approve(self, function: ApproveFunction | None) -> None:
        """Approves a removal: True = remove it. Anything else keeps it, even if Python counts it as true."""
        _gc_config_set_approve(self._handle, self._keep(_ApproveC, _approve, function), None)

    def on_image_fs(self, function: ImageFsFunction | None) -> None:
        """Reports how full the image filesystem is; None = unknown, and the pass fails."""
        _gc_config_set_image_fs(self._handle, self._keep(_ImageFsC, _image_fs, function), None)

    def on_event(self, function: EventFunction | None) -> None:
        """Receives the reason and the message of an event. A dry run sends none."""
        _gc_config_set_event(self._handle, self._keep(_EventC, _event, function), None)

    def on_progress(self, function: ProgressFunction | None) -> None:
        """Receives the progress of the removals of a kind: how many ended, and how many there are."""
        _gc_config_set_progress(self._handle, self._keep(_ProgressC, _progress, function), None)

    def on_pass(self, function: PassFunction | None) -> None:
        """Receives the end of a pass, periodic or called: its report, and its error or None."""
        _gc_config_set_pass(self._handle, self._keep(_PassC, _pass, function), None)

    def on_clock(self, function: ClockFunction | None) -> None:
        """Is the wall clock, in nanoseconds since the epoch as time.time_ns has it."""
        _gc_config_set_clock(self._handle, self._keep(_ClockC, _clock, function), None)

    def on_connect(self, function: ConnectFunction | None) -> None:
        """Connects to a service of the runtime: a connected stream socket, or the descriptor of one; None = there is no connection.

        The library owns it from then on: do not use or close it, and return a new one each time. With this callback the keys
        container-runtime-endpoint and image-service-endpoint are only names.
        """
        _gc_config_set_connect(self._handle, self._keep(_ConnectC, _connect, function), None)

    def _keep(self, c_type: Any, translate: Callable[..., int | None], function: object | None) -> object:
        """The C function that calls `translate` with a function of the host and the arguments of C."""
        if function is None:
            return c_type()
        no = None if c_type._restype_ is None else -1 if c_type is _ConnectC else 0
        made: object = c_type(_callback(no, functools.partial(translate, function)))
        self._functions.append(made)
        return made


# Each of these calls a function of the host with what C passes, and returns its answer to C.


def _log(function: LogFunction, level: int, message: bytes) -> None:
    function(LogLevel(level), _text(message))


def _pod_states(function: PodStatesFunction, uids: Any, states: Any, count: int, as_of: Any) -> int:
    asked = [_text(uids[i]) for i in range(count)]
    answer = function(asked)
    if answer is None:
        return 0
    if isinstance(answer, tuple):
        answer, moment = answer
        as_of[0] = _number("as_of", moment, c_int64)
    found = [answer.get(uid, PodState.KEEP) for uid in asked]
    if not all(isinstance(state, PodState) for state in found):
        wrong = next(state for state in found if not isinstance(state, PodState))
        raise TypeError(f"the state of a pod has to be a crigc.PodState, not {wrong!r}")
    for i, state in enumerate(found):
        states[i] = state
    return 1


def _approve(function: ApproveFunction, planned: Any) -> int:
    return 1 if function(_entry(planned.contents)) is True else 0


def _image_fs(function: ImageFsFunction, usage: Any) -> int:
    found = function()
    if found is None:
        return 0
    for name in ("capacity", "available", "inodes", "inodes_free"):
        setattr(usage.contents, name, _number(name, getattr(found, name), c_uint64))
    return 1


def _event(function: EventFunction, reason: bytes, message: bytes) -> None:
    function(_text(reason), _text(message))


def _progress(function: ProgressFunction, kind: int, done: int, total: int) -> None:
    function(Kind(kind), done, total)


def _pass(function: PassFunction, ended: int, _status: int, handle: int, error: int | None) -> None:
    report = Report(handle, owned=False)
    try:
        function(Pass(ended), report, _copied_error(error) if error else None)
    finally:
        report._handle = None


def _clock(function: ClockFunction) -> int:
    return _number("clock", function(), c_int64)


def _connect(function: ConnectFunction, service: int) -> int:
    found = function(Service(service))
    if found is None:
        return -1
    if isinstance(found, ssl.SSLSocket):
        raise TypeError("on_connect returned an ssl.SSLSocket, of which crigc would only get the encrypted bytes; return a plain socket")
    return found.detach() if isinstance(found, socket.socket) else _number("descriptor", found, c_int)


def _number(name: str, value: int, c_type: Any) -> int:
    """C would take a number that is too large for its type for another one."""
    if c_type(value).value != value:
        raise ValueError(f"{name} cannot be {value}")
    return value


class Call:
    """The deadline of passes in seconds from now (None = none), and the means to cancel them.

    Several passes may share one. What interrupts the caller of one of them, such as KeyboardInterrupt, cancels it for all.
    """

    def __init__(self, timeout: float | None = None) -> None:
        if timeout is not None and not math.isfinite(timeout * 1000):
            raise InvalidArgument(Status.INVALID_ARGUMENT, f"a timeout cannot be {timeout} seconds; None means that there is none")
        # 0 means no deadline in C.
        milliseconds = 0 if timeout is None else min(max(1, math.ceil(timeout * 1000)), 2**64 - 1)
        self._handle = _made(_gc_call_new(milliseconds), "Call")
        weakref.finalize(self, _release, _gc_call_free, self._handle).atexit = False

    def cancel(self) -> None:
        """Ends the passes soon; those that begin later end at once. Any thread and a callback may call this."""
        _gc_call_cancel(self._handle)


class _Run:
    """One pass, its result, and what its callbacks raised."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.over = threading.Event()
        self.report: Report | None = None
        self.error: Error | None = None
        self.raised: list[BaseException] = []

    def result(self) -> Report:
        if self.raised:
            raise self.raised[0]
        if self.error is not None:
            self.error.report = self.report
            raise self.error
        assert self.report is not None
        return self.report


class Engine:
    """A configured collector. Any number of threads may use it at once. Close it, or use it in a `with` statement."""

    def __init__(self, config: Config) -> None:
        if not isinstance(config, Config):
            raise TypeError(f"an Engine is made from a crigc.Config, not from {type(config).__name__}")
        error = c_void_p()
        self._functions = list(config._functions)
        self._changed = threading.Condition()
        self._calls = 0
        self._closed = False
        self._freed = threading.Event()
        self._handle: int | None = _gc_engine_new(config._handle, ctypes.byref(error))
        failure = _taken_error(error)
        if failure is not None:
            raise failure
        _engines.add(self)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None) and not self._closed:
            warnings.warn("a crigc.Engine was not closed", ResourceWarning, source=self)
            self._begin_close()
            self._free_in_background()

    def containers(self, flags: Flags | int = Flags.NONE, call: Call | None = None) -> Report:
        """Removes dead containers, pod sandboxes, pod logs and log links. Blocks until the pass is over."""
        return self._collect(_gc_containers, flags, call)

    def images(self, flags: Flags | int = Flags.NONE, call: Call | None = None) -> Report:
        """Removes unused images. Blocks until the pass is over."""
        return self._collect(_gc_images, flags, call)

    def pod(self, uid: str, flags: Flags | int = Flags.NONE, call: Call | None = None) -> Report:
        """Removes what one pod left behind. Blocks until the pass is over."""
        name = _bytes(uid)
        return self._collect(lambda handle, *rest: int(_gc_pod(handle, name, *rest)), flags, call)

    def start(self) -> None:
        """Starts periodic passes in the background."""
        handle = self._enter()
        try:
            error = c_void_p()
            _gc_start(handle, ctypes.byref(error))
            failure = _taken_error(error)
        finally:
            self._leave()
        if failure is not None:
            raise failure

    def stop(self) -> None:
        """Cancels the periodic passes and waits until they have ended. In a callback, and if the engine is closed, it does nothing."""
        try:
            handle = self._enter()
        except Closed:
            return
        try:
            _gc_stop(handle)
        finally:
            self._leave()

    def metrics(self) -> str:
        """What the engine has counted, as text in Prometheus' format. Never waits for a pass."""
        handle = self._enter()
        try:
            return _owned_text(_made(_gc_metrics(handle), "text of metrics")) or ""
        finally:
            self._leave()

    def close(self) -> None:
        """Ends passes with Closed, waits for the calls of other threads, and frees the engine. In a callback it does not wait."""
        self._begin_close()
        if _here.callbacks:
            self._free_in_background()
        else:
            self._free()

    def _free_in_background(self) -> None:
        try:
            # Not a daemon: the interpreter waits for it when it exits.
            threading.Thread(target=self._free, name="crigc-free", daemon=False).start()
        except RuntimeError:
            # There is no thread for it. What the library may still call has to live as long as the process.
            _unfreed.append(self)

    def _begin_close(self) -> None:
        with self._changed:
            self._closed = True
            _gc_close(self._handle)

    def _free(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._calls == 0)
            handle, self._handle = self._handle, None
        if handle is None:
            self._freed.wait()
            return
        _gc_engine_free(handle)
        self._functions.clear()
        self._freed.set()

    def _enter(self) -> int:
        """Keeps the engine alive until _leave."""
        with self._changed:
            if self._closed or self._handle is None:
                raise Closed(Status.CLOSED, "the engine is closed")
            self._calls += 1
            return self._handle

    def _leave(self) -> None:
        with self._changed:
            self._calls -= 1
            self._changed.notify_all()

    def _collect(self, function: Callable[..., int], flags: int, call: Call | None) -> Report:
        if c_uint32(flags).value != flags:
            raise InvalidArgument(Status.INVALID_ARGUMENT, f"{flags} is not a crigc.Flags")
        run = _Run()
        if _here.callbacks:
            # The library has to see that a callback calls, and refuses.
            self._run(run, function, flags, call)
            return run.result()
        call = call or Call()
        # Python runs signal handlers on the main thread, right before the first instruction of a callback. Nothing there could catch
        # what they raise, and C would get an arbitrary answer. So no pass runs on the main thread.
        thread = threading.Thread(target=self._run, args=(run, function, flags, call), name="crigc-pass", daemon=True)
        try:
            thread.start()
            run.over.wait()
        except BaseException:
            call.cancel()
            # What interrupts start may leave a thread that is about to begin.
            if run.begun.wait(1):
                run.over.wait()
            raise
        _free_what_waits()
        return run.result()

    def _run(self, run: _Run, function: Callable[..., int], flags: int, call: Call | None) -> None:
        run.begun.set()
        report, error = c_void_p(), c_void_p()
        outer, _here.raised = _here.raised, run.raised
        try:
            handle = self._enter()
            try:
                function(handle, flags, call._handle if call else None, ctypes.byref(report), ctypes.byref(error))
            finally:
                self._leave()
            run.report = Report(report.value) if report.value else None
            run.error = _taken_error(error)
        except Closed as closed:
            run.error = closed
        finally:
            _here.raised = outer
            run.over.set()


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_unfreed: list[Engine] = []


@atexit.register
def _close_all() -> None:
    """The interpreter ends threads that come from C where they stand, which Rust cannot bear."""
    for engine in list(_engines):
        engine.close()
