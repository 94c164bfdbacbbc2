"""HTTP with what Python itself brings, for the rare request: one connection, one thread each.

A worker asks this way where to connect, so that one which only waits for work does without the
memory of the shared client. It follows no redirections: those are answers like any other.
"""

import asyncio
import http.client
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import Future
from typing import IO

from stepwell.sdk.net.blocking_framing import PlainHandler, SecureHandler
from stepwell.sdk.net.port import HttpReply, NetworkError, in_words, trouble_of


class PlainHttp:
    """An HttpPort on the standard library; proxies and certificates are those of the system."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        """Send one request from a thread of its own, which nobody waits for in the end."""
        done: Future[HttpReply] = Future()

        def run() -> None:
            if not done.set_running_or_notify_cancel():
                return
            try:
                reply = self.request_sync(
                    method, url, headers=headers, body=body, timeout_seconds=timeout_seconds
                )
            except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
                done.set_exception(error)
            else:
                done.set_result(reply)

        threading.Thread(target=run, name="stepwell-http", daemon=True).start()
        waiting = asyncio.wrap_future(done)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await waiting
        except TimeoutError as error:
            raise _late(method, url, timeout_seconds) from error

    def request_sync(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        """Send one request and read the whole answer. Raises NetworkError if none came."""
        try:
            asked = urllib.request.Request(  # noqa: S310 - the origin is the user's setting
                url, data=body, headers=dict(headers), method=method
            )
            try:
                with _opener.open(asked, timeout=timeout_seconds) as answer:
                    return _reply(answer)
            except urllib.error.HTTPError as answer:
                with answer:
                    return _reply(answer)
        except TimeoutError as error:
            raise _late(method, url, timeout_seconds) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            cause = reason if isinstance(reason, Exception) else error
            if isinstance(cause, TimeoutError):
                raise _late(method, url, timeout_seconds) from error
            raise NetworkError(f"{method} {url}: {in_words(cause)}", trouble_of(cause)) from error


class _NoRedirections(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Do not."""
        return None


_opener = urllib.request.build_opener(_NoRedirections, PlainHandler, SecureHandler)


def _reply(answer: http.client.HTTPResponse | urllib.error.HTTPError) -> HttpReply:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return HttpReply(answer.status or 0, headers, answer.read())


def _late(method: str, url: str, timeout_seconds: float) -> NetworkError:
    return NetworkError(f"{method} {url}: no answer within {timeout_seconds:g} s", "timeout")
