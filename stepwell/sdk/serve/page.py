"""What a browser sees at an endpoint in development: the only HTML of the SDK."""

from collections.abc import Iterable
from html import escape
from typing import Any

from stepwell.sdk.function.function import Function
from stepwell.sdk.settings import Settings
from stepwell.wire import header
from stepwell.wire.execution import CallResponse

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{app} - functions</title>
<style>body{{font:16px/1.5 system-ui;max-width:44rem;margin:3rem auto;padding:0 1rem}}
code{{background:#8883;border-radius:4px;padding:.1em .3em}}</style>
<h1>{app}</h1>
<p>{count} served here to the server at <a href="{server}">{server}</a>.
Send one of the events below to run a function.</p>
<ul>{rows}</ul>
"""


def wants_page(accept: str | None) -> bool:
    """Whether whoever asks is a browser: servers ask for JSON or say nothing."""
    return accept is not None and "text/html" in accept


def page(app_id: str, functions: Iterable[Function[Any]], settings: Settings) -> CallResponse:
    """The functions by name, each with what triggers it."""
    rows = [_row(function) for function in functions]
    count = f"{len(rows)} function{'' if len(rows) == 1 else 's'}"
    server = escape(settings.api_origin, quote=True)
    text = _PAGE.format(app=escape(app_id), count=count, server=server, rows="".join(rows))
    return CallResponse(200, text.encode(), {header.CONTENT_TYPE: "text/html; charset=utf-8"})


def _row(function: Function[Any]) -> str:
    triggers = [trigger.event or trigger.cron or "" for trigger in function.config("").triggers]
    shown = ", ".join(f"<code>{escape(trigger)}</code>" for trigger in triggers)
    return f"<li><b>{escape(function.name)}</b> {shown or 'when it is invoked'}</li>\n"
