"""The command `thalweg`: `thalweg NAME ...` is `python -m thalweg.scripts.NAME ...`."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version

from thalweg.scripts.cli import run

COMMANDS = {  # name -> what it does, in the order in which they are used
    "train": "train an agent in an env, and fit what planners are made of",
    "evaluate": "evaluate planners on env seeds: success, steps, intervals",
    "plan": "plan once, drive the plan, draw both",
    "audit": "hold distances and the controller against what is known",
    "check_env": "does a goal env keep its promises?",
    "toy": "energies on curves whose truth is known",
    "demo": "train, evaluate and draw the demo's worlds",
    "bench": "benchmarks",
}


def main() -> None:
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_usage())
    elif arguments[0] == "--version":
        print(f"thalweg {version('thalweg')}")
    elif arguments[0] not in COMMANDS:
        from difflib import get_close_matches

        near = get_close_matches(arguments[0], COMMANDS, 1)
        hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(COMMANDS)}"
        print(f"error: thalweg has no command {arguments[0]!r}; {hint}", file=sys.stderr)
        raise SystemExit(2)
    else:
        name = arguments[0]
        sys.argv = [f"thalweg {name}", *arguments[1:]]
        command = import_module(f"thalweg.scripts.{name}" + (".__main__" if name == "bench" else ""))
        run(command.main, command.Options)


def _usage() -> str:
    width = max(map(len, COMMANDS))
    rows = [f"  {name:<{width}}  {what}" for name, what in COMMANDS.items()]
    return "\n".join(["usage: thalweg COMMAND ...   (thalweg COMMAND --help tells its options)", "", *rows])


if __name__ == "__main__":
    main()
