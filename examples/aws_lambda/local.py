"""A stand-in for a function URL: turns requests into events of AWS Lambda and answers into HTTP."""

import base64
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import app


class FunctionUrl(BaseHTTPRequestHandler):
    """Hands every request to the handler, as the platform does."""

    def answer(self) -> None:
        """Answer one request."""
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        event = {
            "version": "2.0",
            "rawPath": parts.path,
            "rawQueryString": parts.query,
            "headers": {"x-forwarded-proto": "http", **headers},
            "requestContext": {"http": {"method": self.command, "path": parts.path}},
            "body": base64.b64encode(body).decode(),
            "isBase64Encoded": True,
        }
        told = app.handler(event, None)
        self.send_response(told["statusCode"])
        for name, value in told["headers"].items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(told["body"].encode())

    do_GET = do_POST = do_PUT = answer  # noqa: N815 - the names http.server looks for


if __name__ == "__main__":
    ThreadingHTTPServer(("localhost", int(sys.argv[1])), FunctionUrl).serve_forever()
