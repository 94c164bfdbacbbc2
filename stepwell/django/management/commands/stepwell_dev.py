"""`manage.py stepwell_dev`: a server for development, and the project's functions beside it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

try:
    from stepwell.cli.verbs.dev import dev
except ImportError as error:
    raise CommandError("stepwell_dev needs the server: pip install 'stepwell[server]'") from error

TARGET = "stepwell.django.target:application"


class Command(BaseCommand):
    """Django's own options first; all others are those of `stepwell dev`."""

    help = "Runs a Stepwell server for development, with the functions of this project."

    def run_from_argv(self, argv: list[str]) -> None:
        """Hand what Django does not know to `stepwell dev`."""
        parser = self.create_parser(argv[0], argv[1], add_help=False)
        _, rest = parser.parse_known_args(argv[2:])
        self.handle(options=rest)

    def add_arguments(self, parser: ArgumentParser) -> None:
        """None of its own."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until SIGINT or SIGTERM. `options` are words of a command line."""
        # The project's own web server may be found on its port: its endpoint is the same app.
        words = ["--no-discovery", *options.get("options", args), TARGET]
        dev.main(words, prog_name="manage.py stepwell_dev")
