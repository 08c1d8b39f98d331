"""``coop-verdict completion``: what a shell needs to complete commands, options and ids."""

from __future__ import annotations

import argparse
import os

_SHELLS = ("bash", "zsh", "fish")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "completion",
        help="print what a shell completes this command by",
        description='For bash, put this into ~/.bashrc: eval "$(coop-verdict completion bash)"',
    )
    parser.add_argument("shell", choices=_SHELLS)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from argcomplete.shell_integration import shellcode

    from milter import cli

    print(shellcode(["coop-verdict"], shell=options.shell))
    return cli.OK


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer the shell and end, if it is the shell that asks."""
    if "_ARGCOMPLETE" in os.environ:
        from argcomplete import autocomplete

        autocomplete(parser)
