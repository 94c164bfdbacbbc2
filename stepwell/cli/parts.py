"""A command made of several: `stepwell limits set`, `stepwell bulk stop`."""

import click


class Parts(click.Group):
    """A group whose help gives the first sentence of each part whole, however narrow it is."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The parts, in alphabetical order."""
        told = [(name, self.commands[name]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, _sentence(part.help or "")) for name, part in told])


def _sentence(text: str) -> str:
    return " ".join(text.split()).partition(". ")[0].removesuffix(".") + "."
