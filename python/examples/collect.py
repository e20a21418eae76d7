"""Collects a node once; without --apply it only prints what it would remove. Other arguments are keys, as KEY=VALUE."""

import sys

import crigc


def main(arguments: "list[str]") -> int:
    flags = crigc.Flags.NONE if "--apply" in arguments else crigc.Flags.DRY_RUN
    config = crigc.Config()  # the kubelet's defaults
    try:
        config.update(dict(argument.split("=", 1) for argument in arguments if argument != "--apply"))
        with crigc.Engine(config) as engine:
            for entry in engine.containers(flags):
                print(f"{entry.outcome} {entry.id} ({entry.name}): {entry.reason}")
    except crigc.Error as error:
        print(error, file=sys.stderr)
        return 1
    return 0


sys.exit(main(sys.argv[1:]))
