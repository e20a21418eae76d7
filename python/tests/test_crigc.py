"""The module against simulated nodes: keys, passes, callbacks, errors and closing. nodes.py says what has to run."""

import gc
import json
import os
import pathlib
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import warnings
from typing import Any, Callable, List

import crigc
from nodes import HANGING, TREE, WATCHDOG, config, fresh, gone, removed, unchanged


class Thrown(Exception):
    """What a callback of a test raises."""


class Keys(unittest.TestCase):
    def test_a_config_reads_like_a_dict(self) -> None:
        made = crigc.Config({"dry-run": True, "maximum-dead-containers": 7})
        made["pod-logs-dir"] = "/a/ü"
        self.assertEqual((made["dry-run"], made["maximum-dead-containers"], made["pod-logs-dir"]), ("true", "7", "/a/ü"))
        self.assertEqual(list(made), crigc.keys())
        self.assertEqual(len(dict(made)), len(made))
        self.assertIn("hold-file", made)
        self.assertNotIn("no-such-key", made)
        self.assertIsNone(made.get("no-such-key"))
        for key in made:
            self.assertTrue(crigc.key_help(key))
        self.assertIsNone(crigc.key_help("no-such-key"))

    def test_a_bad_key_or_value_is_named(self) -> None:
        made = crigc.Config()
        for key, value in [("no-such-key", "1"), ("dry-run", "perhaps"), ("image-gc-high-threshold", "101")]:
            with self.assertRaisesRegex(crigc.InvalidArgument, key) as caught:
                made[key] = value
            self.assertIsInstance(caught.exception, ValueError)
        for key, value in [("maximum-dead-containers", "3\x000"), ("dry-run\0x", "false")]:
            with self.assertRaisesRegex(crigc.InvalidArgument, "NUL"):
                made[key] = value
        self.assertEqual((made["maximum-dead-containers"], made["dry-run"]), ("-1", "false"))

    def test_the_kubelets_files_set_keys(self) -> None:
        head = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
        made = crigc.Config()
        lines: List[str] = []
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "kubelet.yaml")
            path.write_text(head + "imageGCHighThresholdPercent: 90\n")
            made.load(path)
            self.assertEqual(made["image-gc-high-threshold"], "90")
            path.write_text(head + "imageGCHighThresholdPercent: 900\n")
            with self.assertRaisesRegex(crigc.ConfigError, "kubelet.yaml:3:30"):
                made.load(str(path))
            made.on_log(lambda _level, line: lines.append(line))
            made.load(folder)
            self.assertIn("kubelet.yaml", lines[0])

            def throw(_level: crigc.LogLevel, _line: str) -> None:
                raise Thrown

            made.on_log(throw)
            self.assertRaises(Thrown, made.load, folder)
        self.assertEqual(made["image-gc-high-threshold"], "90")
        self.assertRaises(crigc.IoFailed, made.load, path)
        self.assertRaisesRegex(crigc.InvalidArgument, "NUL", made.load, "a\0b")

    def test_an_error_can_be_pickled(self) -> None:
        error = crigc.TimedOut(crigc.Status.TIMEOUT, "too late", report=None)
        copy = pickle.loads(pickle.dumps(error))
        self.assertEqual((type(copy), str(copy), vars(copy)), (crigc.TimedOut, str(error), vars(error)))

    def test_a_timeout_is_finite(self) -> None:
        for timeout in (float("inf"), float("nan"), 1e306):
            self.assertRaisesRegex(crigc.InvalidArgument, "a timeout cannot be", crigc.Call, timeout)

    def test_names(self) -> None:
        self.assertEqual(str(crigc.Status.TIMEOUT), "GC_ERROR_TIMEOUT")
        self.assertEqual((str(crigc.Kind.POD_LOGS), str(crigc.Outcome.REFUSED)), ("pod-logs", "refused"))
        self.assertNotEqual(crigc.reason_text("unit-limit"), crigc.reason_text("no-such-reason"))
        # What a later version may add.
        self.assertEqual((str(crigc.Kind(99)), crigc.Kind(99).name, crigc.Outcome(77) == 77), ("unknown", "UNKNOWN_99", True))


class Reports(unittest.TestCase):
    def test_all_fields_are_those_of_the_json(self) -> None:
        endpoint = fresh()
        made = config(endpoint)
        approvals: List[crigc.Entry] = []

        def approve(planned: crigc.Entry) -> bool:
            approvals.append(planned)
            return len(approvals) % 2 == 0

        made.on_approve(approve)
        with crigc.Engine(made) as engine:
            reports = [engine.containers(), images_of(engine)]
        for report in reports:
            text = json.loads(report.json())
            for entry, of_json in zip(report, text["entries"]):
                fields = {**vars(entry), "kind": str(entry.kind), "outcome": str(entry.outcome)}
                self.assertEqual(fields, of_json)
                self.assertEqual(entry.reason_text, crigc.reason_text(entry.reason))
            self.assertEqual(len(report), len(text["entries"]))
            self.assertEqual((str(report.status), report.dry_run), (text["status"], text["dry_run"]))
            self.assertEqual((report.seconds, report.bytes_freed), (text["seconds"], text["bytes_freed"]))
            self.assertLess(abs(report.started - time.time_ns()), 3600e9)
            for outcome in ("kept", "removed", "failed", "refused"):
                for kind, count in text[outcome].items():
                    of = (crigc.Kind[kind.replace("-", "_").upper()], crigc.Outcome[outcome.upper()])
                    self.assertEqual(report.tally(*of), count, of)
            for kind_of in crigc.Kind.CONTAINER, crigc.Kind.IMAGE:
                pace = report.pace(kind_of)
                self.assertEqual(vars(pace) if pace else None, text["pace"].get(str(kind_of)))
        containers, images = reports
        self.assertGreater(containers.tally(outcome=crigc.Outcome.REFUSED), 0)
        self.assertGreater(containers.tally(crigc.Kind.CONTAINER, crigc.Outcome.REMOVED), 0)
        self.assertGreater(images.bytes_freed, 0)
        self.assertEqual((containers.fs_before, containers.fs_after), (None, None))
        self.assertEqual(images.fs_before, crigc.FsUsage(1 << 50, 10))
        self.assertEqual(images.fs_after, images.fs_before)
        self.assertTrue(all(entry.outcome is crigc.Outcome.KEPT and entry.error is None for entry in approvals))

    def test_a_report_is_a_sequence(self) -> None:
        with crigc.Engine(config(unchanged())) as engine:
            report = engine.containers(crigc.Flags.DRY_RUN)
        entries = list(report)
        self.assertTrue(report.dry_run and entries)
        self.assertEqual((report[-1], report[1:3], report[::-1][0]), (entries[-1], entries[1:3], entries[-1]))
        self.assertIn(entries[0], report)
        for index in (len(report), -len(report) - 1):
            self.assertRaises(IndexError, report.__getitem__, index)
            self.assertRaises(IndexError, report.explain, index)

    def test_a_report_explains_its_entries(self) -> None:
        made = config(unchanged(), minimum_container_ttl_duration="250000h")
        with crigc.Engine(made) as engine:
            report = engine.containers(crigc.Flags.DRY_RUN)
        young = 0
        for index, entry in enumerate(report):
            text = report.explain(index)
            sentence = entry.reason_text.partition(": ")[2]
            begin = "Kept" if entry.outcome == crigc.Outcome.KEPT else "Would be removed"
            self.assertTrue(text.startswith(f"{begin}: {sentence}."), text)
            if entry.reason == "too-young":
                young += 1
                self.assertRegex(text, r" It was created [0-9hms.]+ ago; minimum-container-ttl-duration is 250000h0m0s\.$")
        self.assertGreater(young, 0)
        self.assertEqual(report.explain(-1), report.explain(len(report) - 1))

    def test_a_dry_run_removes_nothing(self) -> None:
        with crigc.Engine(config(unchanged())) as engine:
            first, second = (engine.containers(crigc.Flags.DRY_RUN | crigc.Flags.ALL_UNUSED) for _ in range(2))
        self.assertGreater(removed(first), 0)
        self.assertEqual(removed(first), removed(second))


    def test_one_pod_is_collected(self) -> None:
        ended: List[crigc.Pass] = []
        made = config(unchanged())
        made.on_pass(lambda of, report, error: ended.append(of))
        with crigc.Engine(made) as engine:
            every = engine.containers(crigc.Flags.DRY_RUN)
            uid = next(entry.pod_uid for entry in every if entry.outcome is crigc.Outcome.REMOVED)
            report = engine.pod(uid, crigc.Flags.DRY_RUN | crigc.Flags.POD_GONE)
            self.assertEqual({entry.pod_uid for entry in report}, {uid})
            self.assertGreater(removed(report), 0)
            self.assertEqual(ended, [crigc.Pass.CONTAINERS, crigc.Pass.POD])
            for bad in ("", "a/b", "a\nb", "a\0b"):
                self.assertRaises(crigc.InvalidArgument, engine.pod, bad)
            self.assertRaises(crigc.InvalidArgument, engine.containers, crigc.Flags.POD_GONE)


def images_of(engine: crigc.Engine) -> crigc.Report:
    """The report of an image pass of a full disk."""
    try:
        engine.images()
    except crigc.NotEnoughFreed as error:
        assert error.report is not None
        return error.report
    raise AssertionError("a disk that stays full is an error")


class Callbacks(unittest.TestCase):
    def test_all_are_called(self) -> None:
        seen = set()
        reports: List[Any] = []
        made = config(fresh())

        def states(uids: List[str]) -> "tuple[dict[str, crigc.PodState], int]":
            seen.add("pod_states")
            return gone(uids), time.time_ns()

        def ended(of: crigc.Pass, report: crigc.Report, error: "crigc.Error | None") -> None:
            seen.add(of.name)
            self.assertEqual(error.status if error else crigc.Status.OK, report.status)
            reports.append((report, list(report)))

        def clock() -> int:
            seen.add("clock")
            return time.time_ns() + 3600 * 10**9

        made.on_log(lambda level, message: seen.add(level.name), crigc.LogLevel.DEBUG)
        made.on_pod_states(states)
        made.on_event(lambda reason, message: seen.add(reason))
        made.on_progress(lambda kind, done, total: seen.add(kind.name if done <= total else "beyond"))
        made.on_pass(ended)
        made.on_clock(clock)
        engine = crigc.Engine(made)
        # The engine keeps what it was made with.
        del made
        gc.collect()
        with engine:
            report = engine.containers()
            images_of(engine)
        self.assertIn("pod-removed", {entry.reason for entry in report})
        expected = {"DEBUG", "INFO", "pod_states", "CONTAINERS", "IMAGES", "clock", "CONTAINER", "IMAGE", "FreeDiskSpaceFailed"}
        self.assertEqual(expected - seen, set())
        self.assertNotIn("beyond", seen)
        self.assertEqual(reports[0][1], list(report))
        with self.assertRaisesRegex(ReferenceError, "callback"):
            len(reports[0][0])

    def test_only_true_removes(self) -> None:
        for answer in (False, None, 1, "yes", object()):
            made = config(unchanged())
            made.on_approve(lambda planned, answer=answer: answer)  # type: ignore[misc]
            with crigc.Engine(made) as engine:
                report = engine.containers()
            self.assertEqual(removed(report), 0, answer)
            self.assertGreater(report.tally(outcome=crigc.Outcome.REFUSED), 0)

    def test_only_a_whole_answer_counts(self) -> None:
        first = crigc.PodState.CONTENT_REMOVABLE
        bad: List[Callable[[List[str]], Any]] = [
            lambda uids: None,
            lambda uids: {uids[0]: 1} if uids else {},
            lambda uids: ({uid: first for uid in uids[::3]}, 2**62),  # the future
            lambda uids: ({uid: first for uid in uids[::3]}, 1.5),
            lambda uids: ({uid: first for uid in uids[::3]}, 1 << 64),  # 0 for C, which means now
            lambda uids: [first for _ in uids],
        ]
        for answer in bad:
            made = config(unchanged())
            made.on_pod_states(answer)
            made.on_approve(lambda planned: False)
            reports: List[List[crigc.Entry]] = []
            made.on_pass(lambda of, report, error, reports=reports: reports.append(list(report)))  # type: ignore[misc]
            with crigc.Engine(made) as engine:
                try:
                    engine.containers()
                except (TypeError, ValueError, AttributeError):
                    pass
            self.assertEqual({entry.reason for entry in reports[0]} & {"pod-removed", "pod-terminated"}, set())

    def test_what_one_raises_counts_as_no_and_is_raised(self) -> None:
        def thrower(*_: object) -> Any:
            raise Thrown(name)

        # Where it is set, whether images show it, and how the pass ends.
        rows: List[Any] = [
            ("on_log", False, crigc.Status.OK),
            ("on_pod_states", False, crigc.Status.OK),
            ("on_approve", False, crigc.Status.OK),
            ("on_image_fs", True, crigc.Status.IO),
            ("on_event", True, crigc.Status.NOT_ENOUGH_FREED),
            ("on_clock", False, crigc.Status.INVALID_ARGUMENT),
            ("on_connect", False, crigc.Status.UNAVAILABLE),
        ]
        for name, images, status in rows:
            made = config(unchanged())
            ended: List[Any] = []
            made.on_approve(lambda planned: False)
            made.on_pass(
                lambda of, report, error, ended=ended: ended.append((report.status, removed(report)))  # type: ignore[misc]
            )
            getattr(made, name)(thrower)
            with crigc.Engine(made) as engine, self.assertRaisesRegex(Thrown, name):
                engine.images() if images else engine.containers()
            self.assertEqual(ended, [(status, 0)], name)

    def test_a_number_out_of_range_counts_as_no(self) -> None:
        for name, images, function in [
            ("on_image_fs", True, lambda: crigc.FsUsage(1 << 50, -1)),
            ("on_image_fs", True, lambda: crigc.FsUsage(1 << 64, 10)),
            ("on_clock", False, lambda: 1 << 63),
        ]:
            made = config(unchanged())
            planned: List[crigc.Entry] = []
            made.on_approve(lambda entry, planned=planned: bool(planned.append(entry)))  # type: ignore[misc]
            getattr(made, name)(function)
            with crigc.Engine(made) as engine, self.assertRaisesRegex(ValueError, "cannot be"):
                engine.images() if images else engine.containers()
            self.assertEqual(planned, [], name)

    def test_a_host_connects(self) -> None:
        path = unchanged().replace("unix://", "")
        asked: List[crigc.Service] = []

        def connected(service: crigc.Service) -> socket.socket:
            asked.append(service)
            found = socket.socket(socket.AF_UNIX)
            found.connect(path)
            return found

        null = open("/dev/null", "rb")
        self.addCleanup(null.close)
        # What the host gives, and whether there is a connection.
        rows: List[Any] = [
            (connected, True),
            (lambda service: connected(service).detach(), True),
            (lambda service: None, False),
            (lambda service: -1, False),
            (lambda service: null.fileno(), False),
        ]
        before = len(os.listdir("/proc/self/fd"))
        for function, fine in rows:
            asked.clear()
            made = config("the runtime of VM 3", dry_run=True)
            made.on_connect(function)
            with crigc.Engine(made) as engine:
                if fine:
                    self.assertGreater(removed(engine.containers()), 0)
                    images_of(engine)
                    self.assertEqual(asked, [crigc.Service.RUNTIME, crigc.Service.IMAGE, crigc.Service.RUNTIME])
                else:
                    self.assertRaisesRegex(crigc.Unavailable, "connect callback", engine.containers)
            self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        for wrong in ("a socket", 1 << 40):
            made.on_connect(lambda service, wrong=wrong: wrong)  # type: ignore[misc]
            with crigc.Engine(made) as engine, self.assertRaises((TypeError, ValueError)):
                engine.containers()

    def test_one_that_raises_at_the_end_or_while_removing(self) -> None:
        made = config(fresh())

        def thrower(*_: object) -> None:
            raise Thrown

        made.on_progress(thrower)
        with crigc.Engine(made) as engine:
            self.assertRaises(Thrown, engine.containers)
            self.assertEqual(removed(engine.containers()), 0)
        made.on_pass(thrower)
        with crigc.Engine(made) as engine:
            self.assertRaises(Thrown, engine.containers)

    def test_in_one_the_library_refuses_and_frees_later(self) -> None:
        made = config(unchanged())
        raised: List[BaseException] = []
        kept: List[Any] = []

        def states(uids: List[str]) -> "dict[str, crigc.PodState]":
            kept.clear()  # the last reference to a report
            calls = (engine.containers, engine.images, engine.start, engine.metrics, crigc.Config, crigc.Call)
            for call in (*calls, lambda: made.update({"dry-run": 1})):
                try:
                    call()
                except crigc.Error as error:
                    raised.append(error)
            engine.stop()
            made.on_clock(None)
            return {}

        made.on_clock(time.time_ns)
        made.on_pod_states(states)
        with crigc.Engine(made) as engine:
            kept.append(engine.containers(crigc.Flags.DRY_RUN))
            raised.clear()
            kept.append(engine.containers(crigc.Flags.DRY_RUN))
        self.assertGreaterEqual(len(raised), 7)
        self.assertEqual({type(error) for error in raised}, {crigc.Busy})
        self.assertEqual(crigc._waiting, [])
        # In the library the clock is still set.
        with crigc.Engine(made) as engine:
            engine.containers(crigc.Flags.DRY_RUN)


class Errors(unittest.TestCase):
    def test_each_has_its_class(self) -> None:
        with self.assertRaises(crigc.ConfigError):
            crigc.Engine(crigc.Config({"image-gc-low-threshold": 90}))
        with crigc.Engine(config("unix:///nonexistent/socket")) as engine:
            with self.assertRaisesRegex(crigc.Unavailable, "/nonexistent/socket") as caught:
                engine.containers()
            error = caught.exception
            self.assertEqual((error.status, str(error)), (crigc.Status.UNAVAILABLE, f"GC_ERROR_UNAVAILABLE: {error.message}"))
            for flags in (8, 1 << 32, -1):
                with self.assertRaises(crigc.InvalidArgument):
                    engine.containers(flags)
        folder = tempfile.mkdtemp()
        records = config(unchanged(), image_records_file=f"{folder}/records")
        with crigc.Engine(records):
            with self.assertRaises(crigc.Busy):
                crigc.Engine(records)
        with self.assertRaises(crigc.IoFailed):
            crigc.Engine(config(unchanged(), image_records_file=f"{folder}/no/records"))

    def test_deadlines_and_cancels(self) -> None:
        with crigc.Engine(config(HANGING)) as engine:
            with self.assertRaises(crigc.TimedOut) as caught:
                engine.containers(call=crigc.Call(timeout=0.3))
            report = caught.exception.report
            self.assertTrue(report is not None and len(report) > 0 and report.status is crigc.Status.TIMEOUT)
            for timeout in (0, -3):
                call = crigc.Call(timeout)
                time.sleep(0.01)
                with self.assertRaises(crigc.TimedOut) as caught:
                    engine.containers(call=call)
                self.assertIsNone(caught.exception.report)
            call = crigc.Call()
            call.cancel()
            with self.assertRaises(crigc.Cancelled):
                engine.containers(call=call)

    def test_ctrl_c_cancels_and_no_answer_is_made_up(self) -> None:
        """Without care C would take an arbitrary number for the answer of a callback that a signal interrupts."""
        main = threading.main_thread().ident
        assert main is not None
        # A shell lets what it starts in the background ignore the signal.
        self.addCleanup(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler))
        made = config(HANGING)
        approved: List[threading.Thread] = []
        ended: List[Any] = []

        def approve(planned: crigc.Entry) -> bool:
            approved.append(threading.current_thread())
            signal.pthread_kill(main, signal.SIGINT)
            return True

        made.on_approve(approve)
        made.on_pass(lambda of, report, error: ended.append((report.status, report.tally(outcome=crigc.Outcome.FAILED), removed(report))))
        with crigc.Engine(made) as engine:
            self.assertRaises(KeyboardInterrupt, engine.containers)
            # The pass is over when the exception comes.
            self.assertEqual(len(ended), 1)
        self.assertEqual((ended[0][0], ended[0][2]), (crigc.Status.CANCELLED, 0))
        # Only there Python runs signal handlers.
        self.assertNotIn(threading.main_thread(), approved)
        self.assertLessEqual(ended[0][1], len(approved))


class Ends(unittest.TestCase):
    def hanging_pass(self) -> "tuple[crigc.Engine, threading.Thread, List[Any]]":
        """An engine with a pass whose removals hang, its thread, and how it ended."""
        removing = threading.Event()
        made = config(HANGING)

        def approve(planned: crigc.Entry) -> bool:
            removing.set()
            return True

        made.on_approve(approve)
        engine = crigc.Engine(made)
        results: List[Any] = []

        def run() -> None:
            try:
                results.append(engine.containers())
            except BaseException as error:
                results.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        self.assertTrue(removing.wait(WATCHDOG))
        return engine, thread, results

    def test_another_thread_may_close(self) -> None:
        engine, thread, results = self.hanging_pass()
        with self.assertRaises(crigc.Busy):
            engine.containers(crigc.Flags.NO_WAIT)
        engine.close()
        thread.join(WATCHDOG)
        self.assertIsInstance(results[0], crigc.Closed)
        self.assertGreater(len(results[0].report), 0)
        engine.close()
        engine.stop()
        for call in (engine.containers, engine.images, engine.start):
            with self.assertRaises(crigc.Closed):
                call()

    def test_many_threads_may_close_and_call(self) -> None:
        for _ in range(20):
            engine = crigc.Engine(config(unchanged()))
            ends: List[str] = []

            def collect(engine: crigc.Engine = engine, ends: List[str] = ends) -> None:
                try:
                    ends.append(engine.containers(crigc.Flags.DRY_RUN).status.name)
                except crigc.Closed as error:
                    ends.append(error.status.name)

            threads = [threading.Thread(target=target) for target in [collect] * 4 + [engine.close] * 2]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(WATCHDOG)
            self.assertEqual((len(ends), set(ends) <= {"OK", "CLOSED"}), (4, True))

    def test_metrics(self) -> None:
        with crigc.Engine(config(unchanged())) as engine:
            engine.containers(crigc.Flags.DRY_RUN)
            text = engine.metrics()
        self.assertRegex(text, r'\ncrigc_passes_total{engine="\d+",pass="containers",status="GC_OK"} 1\n')
        self.assertRaises(crigc.Closed, engine.metrics)

    def test_a_callback_may_close(self) -> None:
        made = config(unchanged())
        made.on_pod_states(lambda uids: engine.close())
        engine = crigc.Engine(made)
        self.assertRaises(crigc.Closed, engine.containers)
        engine.close()

    def test_reports_outlive_their_engine(self) -> None:
        with crigc.Engine(config(unchanged())) as engine:
            report = engine.containers(crigc.Flags.DRY_RUN)
        del engine
        gc.collect()
        self.assertGreater(len(list(report)), 0)

    def test_an_engine_that_was_not_closed(self) -> None:
        passes = threading.Event()
        made = config(unchanged(), dry_run=True)
        made.on_pass(lambda *_: passes.set())
        engine = crigc.Engine(made)
        engine.start()
        passes.wait(WATCHDOG)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            freed = engine._freed
            del engine
            gc.collect()
        self.assertEqual([warning.category for warning in caught], [ResourceWarning])
        self.assertTrue(freed.wait(WATCHDOG))

    def test_periodic_passes(self) -> None:
        made = config(unchanged(), dry_run=True, container_gc_period="10ms")
        passes = threading.Semaphore(0)
        hooked: List[Any] = []

        def ended(*_: object) -> None:
            passes.release()
            raise Thrown

        hook, threading.excepthook = threading.excepthook, hooked.append
        try:
            made.on_pass(ended)
            with crigc.Engine(made) as engine:
                engine.start()
                engine.start()
                for _ in range(3):
                    self.assertTrue(passes.acquire(timeout=WATCHDOG))
                engine.stop()
        finally:
            threading.excepthook = hook
        self.assertEqual({arguments.exc_type for arguments in hooked}, {Thrown})


class Processes(unittest.TestCase):
    def run_python(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PYTHONPATH": str(TREE / "python"), **variables}
        return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=WATCHDOG)

    def test_the_interpreter_exits_with_an_engine_that_runs(self) -> None:
        program = """
import crigc, sys, threading
config = crigc.Config({"container-runtime-endpoint": sys.argv[1], "pod-logs-dir": "", "container-logs-dir": "", "dry-run": True,
                       "container-gc-period": "1ms"})
passes = threading.Semaphore(0)
config.on_log(lambda level, message: None, crigc.LogLevel.DEBUG)
config.on_pass(lambda *_: passes.release())
engine = crigc.Engine(config)
engine.start()
for _ in range(5):
    passes.acquire()
"""
        ended = self.run_python("-c", program, unchanged())
        self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, "", ""))

    def test_another_library_is_refused(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            other = f"{folder}/libcrigc.so"
            source = "unsigned gc_abi(void) { return 99; }"
            subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", other], input=source, text=True, check=True)
            for path, message in [(other, "has interface 99"), (f"{folder}/none.so", "none.so"), ("libc.so.6", "gc_abi")]:
                ended = self.run_python("-c", "import crigc", CRIGC_LIBRARY=path)
                self.assertRegex(ended.stderr, f"(?s)ImportError: .*{message}", path)

    def test_examples(self) -> None:
        node = ["container-runtime-endpoint=" + unchanged(), "pod-logs-dir=", "container-logs-dir="]
        ended = self.run_python(str(TREE / "python/examples/collect.py"), *node)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        self.assertRegex(ended.stdout, r"(?m)^removed \w+ \(.*\): unit-limit$")
        ended = self.run_python(str(TREE / "python/examples/collect.py"), "no-such-key=1")
        self.assertRegex((ended.returncode, ended.stderr).__str__(), "1.*no-such-key")
        ended = self.run_python(str(TREE / "python/examples/collect.py"), "--aply")
        self.assertRegex((ended.returncode, ended.stderr).__str__(), "1.*--aply")
        header, library = str(TREE / "include/crigc.h"), os.environ["CRIGC_LIBRARY"]
        ended = self.run_python(str(TREE / "python/examples/collect_cffi.py"), header, library, *node)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        self.assertRegex(ended.stdout, r"(?m)^\w+ unit-limit$")


if __name__ == "__main__":
    unittest.main()
