"""A stand-in for Azure's host: finds the routes of a function app and hands them their requests."""

import asyncio
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, urlsplit

from azure import functions
from function_app import app

ROUTES = {
    f"/api/{function.get_trigger().get_dict_repr()['route']}": function.get_user_function()
    for function in app.get_functions()
}
LOOP = asyncio.Runner()


class Host(BaseHTTPRequestHandler):
    """Calls the function of a route."""

    def answer(self) -> None:
        """Answer one request."""
        parts = urlsplit(self.path)
        function = ROUTES.get(parts.path)
        if function is None:
            return self.send_error(404)
        request = functions.HttpRequest(
            self.command,
            f"http://{self.headers['host']}{self.path}",
            headers=dict(self.headers),
            params=dict(parse_qsl(parts.query)),
            body=self.rfile.read(int(self.headers.get("content-length") or 0)),
        )
        told = LOOP.run(function(request))
        self.send_response(told.status_code)
        for name, value in told.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(told.get_body())
        return None

    do_GET = do_POST = do_PUT = answer  # noqa: N815 - the names http.server looks for


if __name__ == "__main__":
    HTTPServer(("localhost", int(sys.argv[1])), Host).serve_forever()
