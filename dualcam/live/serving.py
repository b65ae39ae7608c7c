"""Serving pages: access control, content policy, address.

By default pages are served on 127.0.0.1, and to their own requests only: a request with another
host name, or from another site's page, is refused, so that no web page can look or listen. Any
other address needs a token, which is part of the printed link. Pages load nothing from elsewhere.
"""

import hmac
import pathlib
import socket
import urllib.parse
from typing import Any

import uvicorn
from starlette.requests import HTTPConnection
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

PAGE = pathlib.Path(__file__).parent / 'page'
LOCAL = ('127.0.0.1', 'localhost', '::1')
_COOKIE = 'dualcam_token'
_CONTENT = (
    "default-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"
)
_HEADERS = {'Content-Security-Policy': _CONTENT}


class Guard:
    """Refuses requests that are not allowed; see the module docstring.

    Args:
        app: the application to guard.
        token: required in requests; None on this machine's own address.
    """

    def __init__(self, app: ASGIApp, token: str | None = None) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope['type'] in ('http', 'websocket') and not self._allows(HTTPConnection(scope)):
            if scope['type'] == 'websocket':
                await WebSocket(scope, receive, send).close(1008)
            else:
                refused = PlainTextResponse('refused: another host, site or token', 403)
                await refused(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _allows(self, connection):
        """Whether a request is allowed."""
        host = urllib.parse.urlsplit(f'//{connection.headers.get("host", "")}').hostname or ''
        origin = connection.headers.get('origin')
        if origin is not None:
            from_page = urllib.parse.urlsplit(origin).netloc
            if from_page != connection.headers.get('host', ''):
                return False
        if self._token is None:
            return host in LOCAL
        given = connection.query_params.get('token') or connection.cookies.get(_COOKIE, '')
        return hmac.compare_digest(given.encode(), self._token.encode())


def page(name: str, token: str | None) -> Response:
    """A page that may only load files of this server.

    Args:
        name: of the file.
        token: set as a cookie, which its further requests carry.
    """
    response = FileResponse(PAGE / name, headers=_HEADERS)
    if token is not None:
        response.set_cookie(_COOKIE, token, httponly=True, samesite='strict')
    return response


class PageFiles(StaticFiles):
    """Scripts and styles of the pages; a worker's script has its own content policy."""

    def __init__(self) -> None:
        super().__init__(directory=PAGE)

    def file_response(self, *args: Any, **keywords: Any) -> Response:
        """See `StaticFiles`."""
        response = super().file_response(*args, **keywords)
        response.headers.update(_HEADERS)
        return response


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to an address.

    Raises:
        ValueError: the port is in use, or the address is not this machine's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen()
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise ValueError(
            f'cannot listen on {host}:{port} ({error.strerror}); is another program, or another '
            'dualcam live, using it? Choose another --port'
        ) from error
    return bound


def address(host: str, bound: socket.socket, token: str | None) -> str:
    """The link to a page, including the token."""
    name = f'[{host}]' if ':' in host else host
    query = f'?token={token}' if token else ''
    return f'http://{name}:{bound.getsockname()[1]}/{query}'


def serve(app: ASGIApp, bound: socket.socket) -> None:
    """Serves until Ctrl-C."""
    config = uvicorn.Config(
        app, log_level='error', access_log=False, ws='websockets-sansio', ws_max_size=1 << 16
    )
    uvicorn.Server(config).run(sockets=[bound])
