"""Collects a node once: collect [SOCKET] [--apply] [KEY=VALUE]... Without --apply it only prints what it would remove."""

import sys

import crigc


def main(arguments: "list[str]") -> int:
    flags = crigc.Flags.NONE if "--apply" in arguments else crigc.Flags.DRY_RUN
    config = crigc.Config()  # the kubelet's defaults
    try:
        for argument in arguments:
            if argument != "--apply":
                key, is_setting, value = argument.partition("=")
                config[key if is_setting else "container-runtime-endpoint"] = value if is_setting else argument
        with crigc.Engine(config) as engine:
            for entry in engine.containers(flags):
                print(f"{entry.outcome} {entry.id} ({entry.name}): {entry.reason}")
    except crigc.Error as error:
        print(error, file=sys.stderr)
        return 1
    return 0


sys.exit(main(sys.argv[1:]))
