"""A tiny web app that says which version it is; version `broken` fails its health check, as bad releases do."""

import os
import signal
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = os.environ.get("VERSION", "1")
HEALTHY = VERSION != "broken"


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/healthz":
            status = HTTPStatus.OK if HEALTHY else HTTPStatus.INTERNAL_SERVER_ERROR
            text = "ok\n" if HEALTHY else "the database schema is missing\n"
        else:
            status, text = HTTPStatus.OK, f"hello from version {VERSION}\n"
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text.encode())))
        self.send_header("X-App-Version", VERSION)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Probes would fill the log."""


if __name__ == "__main__":
    # The first process of a container ignores SIGTERM unless it asks for it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Page).serve_forever()
