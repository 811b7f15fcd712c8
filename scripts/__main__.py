"""The command `thalweg`: `thalweg NAME ...` is `python -m thalweg.scripts.NAME ...`."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any, Union

COMMANDS = {  # name -> what it does, in the order in which they are used
    "train": "train an agent in an env, and fit what planners are made of",
    "plan_with": "plan with an agent that was trained elsewhere",
    "evaluate": "evaluate planners on env seeds: success, steps, intervals",
    "plan": "plan once, drive the plan, draw both",
    "audit": "hold distances and the controller against what is known",
    "check_env": "does a goal env keep its promises?",
    "toy": "energies on curves whose truth is known",
    "demo": "train, evaluate and draw the demo's worlds",
    "bench": "benchmarks",
    "ledger": "measured tables: take rows, render the pages, name what is old",
}
_SHELLS = ("bash", "zsh", "tcsh")


def main() -> None:
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_usage())
    elif arguments[0] == "--version":
        from importlib.metadata import version

        print(f"thalweg {version('thalweg')}")
    elif arguments[0] == "--completion" and arguments[1:] and arguments[1] in _SHELLS:
        _print_completion(arguments[1])
    elif arguments[0] not in COMMANDS:
        from thalweg.planner.errors import unknown_name

        print(f"error: {unknown_name('thalweg', arguments[0], COMMANDS)}", file=sys.stderr)
        raise SystemExit(2)
    else:
        from thalweg.scripts.cli import run

        sys.argv = [f"thalweg {arguments[0]}", *arguments[1:]]
        command = _module(arguments[0])
        run(command.main, command.Options)


def _module(name: str) -> Any:
    return import_module(f"thalweg.scripts.{name}" + (".__main__" if name == "bench" else ""))


def _print_completion(shell: str) -> None:
    """Of all commands and their options, for the shell to source."""
    import tyro

    kinds = tuple(Annotated[_module(name).Options, tyro.conf.subcommand(name)] for name in COMMANDS)
    tyro.cli(Union[kinds], prog="thalweg", args=["--tyro-print-completion", shell])  # type: ignore[call-overload]  # noqa: UP007


def _usage() -> str:
    width = max(map(len, COMMANDS))
    rows = [f"  {name:<{width}}  {what}" for name, what in COMMANDS.items()]
    return "\n".join(
        [
            "usage: thalweg COMMAND ...   (thalweg COMMAND --help tells its options)",
            "",
            *rows,
            "",
            "for example: thalweg train --env PointMassU-v0 --steps 4e4 --out runs/u",
            "thalweg --version; completion of all options in the shell: source <(thalweg --completion bash), or zsh",
        ]
    )


if __name__ == "__main__":
    main()
