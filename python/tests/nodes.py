"""What the tests stand on: nodes of crisim, which whoever runs the tests has started, and what a C compiler makes of crigc.h.

CRIGC_NODES names the sockets of fresh nodes; each test that removes something takes one. CRIGC_HANGING names a node whose removals hang.
"""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, List

import crigc

TREE = Path(__file__).parents[2]
HEADER = TREE / "include/crigc.h"
HANGING = os.environ["CRIGC_HANGING"]
_fresh = os.environ["CRIGC_NODES"].split()

# Far above what anything takes.
WATCHDOG = 60


def fresh() -> str:
    """A node that no test has changed."""
    return _fresh.pop()


def unchanged() -> str:
    """A node for a test that removes nothing."""
    return _fresh[0]


def config(endpoint: str, **settings: "str | int") -> crigc.Config:
    """A config for a node without files, with a disk that is always full."""
    made = crigc.Config({"container-runtime-endpoint": endpoint, "pod-logs-dir": "", "container-logs-dir": ""})
    made.update({key.replace("_", "-"): value for key, value in settings.items()})
    made.on_image_fs(lambda: crigc.FsUsage(1 << 50, 10))
    return made


def layout() -> Dict[str, Dict[str, int]]:
    """Sizes, offsets, constants and functions of crigc.h: what -> name -> value."""
    program = subprocess.run(["awk", "-f", TREE / "ffi-tests/layout.awk", HEADER], check=True, capture_output=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        compiler = ["cc", "-x", "c", f"-I{TREE}/include", "-", "-o", f"{folder}/layout"]
        subprocess.run(compiler, input=program, check=True)
        lines = subprocess.run([f"{folder}/layout"], check=True, capture_output=True, text=True).stdout.splitlines()
    found: Dict[str, Dict[str, int]] = {}
    for line in lines:
        what, name, value = line.split()
        found.setdefault(what, {})[name] = int(value)
    return found


def gone(uids: List[str]) -> "Dict[str, crigc.PodState]":
    """Every third pod is gone."""
    return {uid: crigc.PodState.CONTENT_REMOVABLE | crigc.PodState.RUNTIME_REMOVABLE for uid in uids[::3]}


def removed(report: Any) -> int:
    return int(report.tally(outcome=crigc.Outcome.REMOVED))
