"""A git server over HTTP, by git's own http-backend. Run as `python -m cluster.git_server ADDRESS PORT FOLDER`."""

import http.server
import os
import subprocess
import sys


class Backend(http.server.BaseHTTPRequestHandler):
    """Passes each request to `git http-backend`, which serves every repository below the folder."""

    folder = "."

    def do_GET(self) -> None:
        """Names and packs."""
        self._run(b"")

    def do_POST(self) -> None:
        """What a client wants and has."""
        self._run(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _run(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        variables = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": self.folder,
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "3",
            **_setting(0, "safe.directory", "*"),
            **_setting(1, "uploadpack.allowFilter", "true"),
            **_setting(2, "uploadpack.allowAnySHA1InWant", "true"),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_ADDR": self.client_address[0],
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=variables, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
        self.send_response(int(dict(headers).get("Status", "200").split()[0]))
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _setting(number: int, key: str, value: str) -> dict[str, str]:
    return {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}


if __name__ == "__main__":
    Backend.folder = sys.argv[3]
    http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Backend).serve_forever()
