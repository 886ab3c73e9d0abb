"""As much of an S3 server as one benchmark needs, in memory: `helm test` wants no bucket of anybody's."""

import http.server
import threading
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class Store:
    """Objects by `bucket/key`, served on a port."""

    def __init__(self):
        """Nothing is stored yet."""
        self.objects = {}

    def serve(self, port):
        """Answer from now on, until the process ends; the port, which 0 leaves open."""
        handler = type("Handler", (_Handler,), {"objects": self.objects})
        server = http.server.ThreadingHTTPServer(("", port), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_address[1]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects = None

    def do_PUT(self):
        self.objects[self._path()] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, b"", ETag='"0"')

    def do_GET(self):
        asked = urlsplit(self.path)
        if "list-type" in parse_qs(asked.query):
            self._answer(200, self._listing(parse_qs(asked.query).get("prefix", [""])[0]))
        elif self._path() in self.objects:
            self._answer(200, self.objects[self._path()], ETag='"0"')
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code><Message>there is no such object</Message></Error>")

    def do_HEAD(self):
        self.do_GET()

    def _path(self):
        return unquote(urlsplit(self.path).path).strip("/")

    def _listing(self, prefix):
        start = f"{self._path()}/"
        keys = sorted(name[len(start) :] for name in self.objects if name.startswith(start + prefix))
        found = "".join(f"<Contents><Key>{escape(key)}</Key></Contents>" for key in keys)
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>".encode()

    def _answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format, *args): ...
