"""Parses an `e2egrec` command line without running it."""

import typer

from tf_e2egrec.cli.main import app

COMMAND = typer.main.get_command(app)
Group = typer.core.TyperGroup


def parse(arguments):
    """Parse as the installed script would.

    Raises:
      Exception: a command, an option or a value does not exist.
    """
    command, rest = _found(arguments)
    if isinstance(command, Group) and not set(rest) & {"--help", "--install-completion", "--show-completion"}:
        raise ValueError(f"no command in {arguments}")
    if not isinstance(command, Group) and "--help" not in rest:
        command.make_context("e2egrec", list(rest))


def options_of(arguments):
    """Names of the options of the command that the first words name; nothing where there is none of that name."""
    command, rest = _found(arguments)
    if isinstance(command, Group) and len(rest) < len(arguments):
        return {"--help"}  # of a group, such as `rollout`
    return (
        set()
        if isinstance(command, Group)
        else {option for one in command.params for option in one.opts} | {"--help"}
    )


def leaves(group=COMMAND, before=()):
    """(words, command) of every command."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, Group):
            yield from leaves(command, (*before, name))
        else:
            yield (*before, name), command


def _found(arguments):
    command, rest = COMMAND, list(arguments)
    while isinstance(command, Group) and rest and rest[0] in command.commands:
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest
