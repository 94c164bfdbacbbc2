"""`stepwell trace`: what a run did, span by span, for people and programs."""

from pathlib import Path

import click
import msgspec

from stepwell.cli.output import moment, output_option, show
from stepwell.cli.run_view import kind_of, said, spans, took
from stepwell.cli.source import source_at, source_options
from stepwell.server.query.v2.run_trace import SpanV2


@click.command("trace")
@click.argument("run_id", metavar="RUN")
@output_option
@source_options
def trace_spans(
    run_id: str, output: str, database: Path | None, url: str, signing_key: str | None
) -> None:
    """Print the spans of RUN: its steps, attempts, sleeps, waits and calls, with times and details.

    As json it is the trace of the REST API, spans within spans; as ndjson each span is a line.
    `stepwell run` draws the same.
    """
    with source_at(database, url, signing_key) as source:
        found = source.trace(run_id)
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    told = list(spans(found.root_span))
    if output == "ndjson":
        show([span for _, span in told], output, (), lambda _: ())
        return
    show(told, output, ("SPAN", "KIND", "STATUS", "STARTED", "TOOK", "DETAIL"), _row)


def _row(one: tuple[int, SpanV2]) -> tuple[str, ...]:
    depth, span = one
    began = moment(span.started_at) or moment(span.queued_at)
    name = f"{'  ' * depth}{span.name}"
    return name, kind_of(span), span.status.value, began, took(span), said(span)
