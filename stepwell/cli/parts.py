"""A command made of several: `stepwell limits set`, `stepwell bulk stop`."""

import click


class Parts(click.Group):
    """A group whose help gives the first sentence of each part whole, however narrow it is.

    Where no part is named it lists, if it has a part that does: `stepwell events --limit 5`.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The part that is meant, and what is given to it."""
        first = args[0] if args else "-"
        if "list" in self.commands and first.startswith("-") and first not in ctx.help_option_names:
            args = ["list", *args]
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The parts, in alphabetical order."""
        told = [(name, self.commands[name].help or "") for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, _sentence(text) + _default(name)) for name, text in told])


def _sentence(text: str) -> str:
    return " ".join(text.split()).partition(". ")[0].removesuffix(".") + "."


def _default(name: str) -> str:
    return " [default]" if name == "list" else ""
