"""As much of S3 as the job that records class data archives needs: buckets in memory, for whoever asks.

The tests have better ones, but these scripts run with nothing but Python: `dev_hadoop.sh` needs no environment.
"""

from __future__ import annotations

import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from xml.sax.saxutils import escape

_WHEN = "2000-01-01T00:00:00.000Z"
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[str]:
    """Serve files, /bucket/key by name, to which clients may add; the server's URL."""
    handler = type("_Handler", (_Requests,), {"files": files})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: ClassVar[dict[str, bytes]]

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""

    def do_HEAD(self) -> None:
        self._give()

    def do_GET(self) -> None:
        _, query = self._place()
        if "list-type" in query:
            self._list(query)
        else:
            self._give()

    def do_PUT(self) -> None:
        body = self._body()
        source = self.headers.get("x-amz-copy-source")
        name, _ = self._place()
        self.files[name] = body if source is None else self.files["/" + urllib.parse.unquote(source).lstrip("/")]
        copied = f"<CopyObjectResult><ETag>e</ETag><LastModified>{_WHEN}</LastModified></CopyObjectResult>"
        self._answer(200, b"" if source is None else (_XML + copied).encode())

    def do_DELETE(self) -> None:
        self.files.pop(self._place()[0], None)
        self._answer(204)

    def do_POST(self) -> None:
        """Only deletes of several files; what is left of them is in nobody's way."""
        self._body()
        self._answer(200, (_XML + "<DeleteResult></DeleteResult>").encode())

    def _place(self) -> tuple[str, dict[str, str]]:
        url = urllib.parse.urlsplit(self.path)
        return urllib.parse.unquote(url.path), dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "x-amz-decoded-content-length" not in self.headers:
            return body
        # signed in chunks: LENGTH;chunk-signature=...
        whole = b""
        while body:
            head, _, body = body.partition(b"\r\n")
            length = int(head.partition(b";")[0], 16)
            whole, body = whole + body[:length], body[length + 2 :] if length else b""
        return whole

    def _give(self) -> None:
        data = self.files.get(self._place()[0])
        if data is None:
            self._answer(404, (_XML + "<Error><Code>NoSuchKey</Code></Error>").encode())
            return
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        end = min(int(last) + 1, len(data)) if last else len(data)
        self._answer(206 if "Range" in self.headers else 200, data[int(first) : end])

    def _list(self, query: dict[str, str]) -> None:
        bucket = self._place()[0].strip("/")
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        keys = [name.removeprefix(f"/{bucket}/") for name in sorted(self.files) if name.startswith(f"/{bucket}/")]
        found, folders = [], dict[str, None]()
        for key in (key for key in keys if key.startswith(prefix)):
            inside, separator, _ = key.removeprefix(prefix).partition(delimiter or "\0")
            if separator:
                folders[prefix + inside + separator] = None
            else:
                found.append(key)
        lines = [
            f"<Contents><Key>{escape(key)}</Key><LastModified>{_WHEN}</LastModified><ETag>e</ETag>"
            f"<Size>{len(self.files[f'/{bucket}/{key}'])}</Size></Contents>"
            for key in found
        ]
        lines += [f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in folders]
        shown = f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(lines)}</KeyCount>"
        shown += "<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>" + "".join(lines)
        self._answer(200, f"{_XML}<ListBucketResult>{shown}</ListBucketResult>".encode())

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"e"')
        self.send_header("Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
