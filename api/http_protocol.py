"""uvicorn's HTTP, except that what is no HTTP at all is answered in the one shape of errors, too."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.errors import error_body


class HttpProtocol(HttpToolsProtocol):
    """What ``uvicorn.Config(http=…)`` takes."""

    def send_400_response(self, msg: str) -> None:
        """Answer what can't be parsed, and hang up: nobody knows where the next request begins."""
        body = error_body(msg)
        head = (
            b"content-type: application/json\r\n"
            b"content-length: %d\r\n"
            b"connection: close\r\n\r\n" % len(body)
        )
        self.transport.write(STATUS_LINE[400] + head + body)
        self.transport.close()
