"""`pratique completion`: the script by which a shell asks for commands, options and names."""

from __future__ import annotations

from typing import Literal

import click
from click.shell_completion import get_completion_class

from pratique.cli.console import Console
from pratique.errors import InternalError


@click.command(
    epilog="""\b
Examples:
  pratique completion bash
  pratique completion fish > pratique.fish

\b
To have it in every shell, add one line to
  ~/.bashrc                    eval "$(pratique completion bash)"
  ~/.zshrc, after compinit     eval "$(pratique completion zsh)"
  ~/.config/fish/config.fish   pratique completion fish | source"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, *, shell: Literal["bash", "zsh", "fish"]) -> None:
    """Print the script that lets a shell complete commands, options and names.

    Pipelines, environments, sources, schemas, causes and run ids are those of
    the project in which you are.
    """
    found = get_completion_class(shell)
    if found is None:
        raise InternalError(f"click knows no completion for {shell}", hint="please report it with this line")
    root = ctx.find_root()
    Console.choose("never").out(found(root.command, {}, "pratique", "_PRATIQUE_COMPLETE").source())
