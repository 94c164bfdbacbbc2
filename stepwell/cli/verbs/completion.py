"""`stepwell completion`: what a shell needs to complete the verbs and options."""

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_STEPWELL_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script for SHELL: `eval "$(stepwell completion bash)"` in its settings."""
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "stepwell", _VARIABLE).source())
