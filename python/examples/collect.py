"""Collects a node once; without --apply it only prints what it would remove."""

import sys

import crigc


def main() -> int:
    config = crigc.Config()  # the kubelet's defaults
    flags = crigc.Flags.NONE if "--apply" in sys.argv[1:] else crigc.Flags.DRY_RUN
    try:
        with crigc.Engine(config) as engine:
            for entry in engine.containers(flags):
                print(f"{entry.outcome} {entry.id} ({entry.name}): {entry.reason}")
    except crigc.Error as error:
        print(error, file=sys.stderr)
        return 1
    return 0


sys.exit(main())
