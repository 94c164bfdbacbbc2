"""`manage.py stepwell_worker`: a worker that runs the project's functions over a connection."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from stepwell.django.connections import ConnectionsMiddleware, keep_fresh
from stepwell.django.discovery import functions_of, get_client

try:
    from stepwell.connect import WorkerError, connect, run_worker
except ImportError as error:
    raise CommandError(
        "stepwell_worker needs the connection: pip install 'stepwell[connect]'"
    ) from error


class Command(BaseCommand):
    """Runs until SIGINT or SIGTERM, then ends what it has begun."""

    help = "Runs the functions of this project in a worker, connected to the server."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What a worker can be told."""
        parser.add_argument("--client", help='Dotted path, by default STEPWELL["CLIENT"].')
        parser.add_argument("--instance-id", help="Names this process for the server.")
        parser.add_argument("--gateway-url", help="The gateway, in place of the server's own word.")
        parser.add_argument("--concurrency", type=int, help="How many calls run at once at most.")
        parser.add_argument(
            "--outbox", help="Directory that keeps answers the server has not acknowledged."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until it is told to stop."""
        client = get_client(options["client"])
        functions = functions_of(client)
        if not functions:
            raise CommandError(
                f"app {client.app_id!r} has no functions: declare them in the module"
                " `inngest_functions` of an installed app"
            )
        keep_fresh()
        client.add_middleware(ConnectionsMiddleware)
        self.stdout.write(f"app {client.app_id!r}: {len(functions)} functions")
        self.stdout.flush()
        connection = connect(
            [(client, functions)],
            instance_id=options["instance_id"],
            gateway_url=options["gateway_url"],
            max_worker_concurrency=options["concurrency"],
            outbox_directory=options["outbox"],
        )
        try:
            run_worker(connection)
        except WorkerError as error:
            raise CommandError(str(error)) from error
