"""A web server on this machine that misbehaves on demand."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b"\n<!DOCTYPE html><html><body>Sign in to go on</body></html>"


@dataclass
class FileServer:
    """Serves one content at every path.

    Attributes:
        content: The file.
        etag: Its version; empty for none.
        ranges: Whether parts of it are served.
        breaks: Bytes after which each of the next answers breaks off.
        statuses: Statuses of the next answers.
        stall: Whether it falls silent in the middle of the file.
        length: The length it claims, where that is not the true one.
        content_type: What it calls the content.
        asked: Path and Range header of every request so far.
    """

    content: bytes = b""
    etag: str = '"first"'
    ranges: bool = True
    breaks: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    stall: bool = False
    length: int | None = None
    content_type: str = "application/octet-stream"
    url: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    awake: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers["Range"]
        self.asked.append((request.path, wanted))
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            request.send_response(status)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        same = request.headers["If-Range"] in (None, self.etag)
        start = int(wanted[6:-1]) if wanted and self.ranges and same else 0
        size = len(self.content)
        if start and start >= size:
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{size}")
            request.end_headers()
            return
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if self.etag:
            request.send_header("ETag", self.etag)
        request.send_header("Content-Type", self.content_type)
        request.send_header("Content-Length", str(self.length if self.length is not None else size - start))
        request.end_headers()
        self._send(request, self.content[start:])

    def _send(self, request: BaseHTTPRequestHandler, content: bytes) -> None:
        if self.stall:
            request.wfile.write(content[: len(content) // 2])
            self.awake.wait(20)
        elif self.breaks:
            request.wfile.write(content[: self.breaks.pop(0)])
        else:
            request.wfile.write(content)
        request.close_connection = True


@contextmanager
def serve() -> Iterator[FileServer]:
    files = FileServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            try:
                files.answer(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    files.url = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield files
    finally:
        files.awake.set()
        server.shutdown()
        thread.join()
        server.server_close()


def ranges_of(files: FileServer) -> list[str | None]:
    return [wanted and wanted.removeprefix("bytes=") for _, wanted in files.asked]
