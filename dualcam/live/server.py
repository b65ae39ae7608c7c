"""The live view's server: one page, one WebSocket per page, takes that are recorded.

Served on 127.0.0.1 to pages of its own only: a request that names another host, or comes from
another site's page, is refused, so that no page of the web can look or listen. Another address
needs a token, which the link that is printed carries.
"""

import asyncio
import contextlib
import hmac
import json
import pathlib
import socket
import time
import urllib.parse
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from dualcam.live import engine

PAGE = pathlib.Path(__file__).parent / 'page'
LOCAL = ('127.0.0.1', 'localhost', '::1')
_COOKIE = 'dualcam_token'
_MOST_VIDEO_BYTES = 4 << 30
_CONTENT = (
    "default-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "script-src 'self'; connect-src 'self'"
)


class Live:
    """The application and those who watch.

    Args:
        running: the engine, which `serve` starts and stops.
        host: address that it is served at.
        token: that requests must carry; None on this machine's own address.
        video: file that the page shows in a camera's place, or None.
    """

    def __init__(
        self,
        running: engine.Engine,
        host: str = LOCAL[0],
        token: str | None = None,
        video: pathlib.Path | None = None,
    ) -> None:
        self._engine, self._host, self._token = running, host, token
        self._video = video
        self._watchers: set[_Watcher] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        running.publish = self._publish
        self.app = Starlette(
            routes=[
                Route('/', self._page),
                Route('/about.json', self._about),
                Route('/video', self._video_file),
                Route('/takes', self._takes),
                Route('/takes/{name}/video', self._take_video, methods=['POST']),
                WebSocketRoute('/maps', self._maps),
                Mount('/page', StaticFiles(directory=PAGE)),
            ],
            lifespan=self._lifespan,
        )
        self.app.add_middleware(_Guard, live=self)

    def allows(self, connection: HTTPConnection) -> bool:
        """Whether a request may see anything."""
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

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        self._engine.start()
        try:
            yield
        finally:
            await asyncio.to_thread(self._engine.stop)

    async def _page(self, request: Request) -> Response:
        response = FileResponse(PAGE / 'index.html', headers={'Content-Security-Policy': _CONTENT})
        if self._token is not None:
            response.set_cookie(_COOKIE, self._token, httponly=True, samesite='strict')
        return response

    async def _about(self, request: Request) -> Response:
        running = self._engine
        return JSONResponse(
            {
                'source': running.source.name,
                'rate_hz': running.source.rate_hz,
                'channels': running.source.num_channels,
                'array': pathlib.Path(running.array.name).name,
                'view_deg': running.view.rim_deg(),
                'mirrored': running.view.mirrored,
                'upside_down': running.view.upside_down,
                'video': self._video is not None,
                'duration_s': getattr(running.source, 'duration_s', None),
                'records': running.recorder is not None,
                'methods': engine.METHODS,
            }
        )

    async def _video_file(self, request: Request) -> Response:
        if self._video is None:
            return PlainTextResponse('no video', 404)
        return FileResponse(self._video)

    async def _takes(self, request: Request) -> Response:
        recorder = self._engine.recorder
        rows = await asyncio.to_thread(recorder.takes) if recorder is not None else []
        return JSONResponse(rows)

    async def _take_video(self, request: Request) -> Response:
        recorder = self._engine.recorder
        if recorder is None:
            return PlainTextResponse('takes are not recorded; --out=DIR', 404)
        data = bytearray()
        async for part in request.stream():
            data += part
            if len(data) > _MOST_VIDEO_BYTES:
                return PlainTextResponse('larger than 4 GiB', 413)
        try:
            began_at = float(request.query_params.get('began_ms', 'nan')) / 1000
            if not abs(began_at - time.time()) < 1e6:
                raise ValueError('began_ms: expected the time of the first picture')
            suffix = '.mp4' if 'mp4' in request.headers.get('content-type', '') else '.webm'
            offset_s = await asyncio.to_thread(
                recorder.add_video, request.path_params['name'], suffix, bytes(data), began_at
            )
        except (ValueError, OSError) as error:
            return PlainTextResponse(str(error), 400)
        return JSONResponse({'video_offset_s': offset_s})

    async def _maps(self, socket_: WebSocket) -> None:
        await socket_.accept()
        watcher = _Watcher()
        self._watchers.add(watcher)
        sending = asyncio.create_task(watcher.send_to(socket_))
        try:
            while True:
                text = await socket_.receive_text()
                watcher.answer = await asyncio.to_thread(self._asked, text)
                watcher.changed.set()
        except WebSocketDisconnect:
            pass
        finally:
            self._watchers.discard(watcher)
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, RuntimeError, WebSocketDisconnect):
                await sending

    def _asked(self, text: str) -> dict:
        """The answer to what a page asks for."""
        try:
            asked = json.loads(text)
            kind, values = asked['ask'], asked.get('values', {})
            if not isinstance(values, dict):
                raise ValueError('values: expected names and values')
            if kind == 'change':
                self._engine.change(**values)
                return {'answer': 'changed'}
            recorder = self._engine.recorder
            if recorder is None:
                raise ValueError('takes are not recorded; start with --out=DIR')
            if kind == 'record':
                words = [str(values.get(name, '')) for name in ('class', 'subject', 'place')]
                return {'answer': 'recording', 'take': recorder.start(*words)}
            if kind == 'stop':
                return {'answer': 'recorded', 'take': recorder.stop()}
            raise ValueError(f'ask {kind!r}: expected change, record or stop')
        except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
            return {'answer': 'error', 'message': str(error)}

    def _publish(self, message: engine.Message) -> None:
        """Hands a message to all who watch, from the engine's thread."""
        if self._watchers and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._hand_out, message)

    def _hand_out(self, message: engine.Message) -> None:
        for watcher in self._watchers:
            watcher.skipped += watcher.message is not None
            watcher.message = message
            watcher.changed.set()


class _Watcher:
    """A page: the newest message for it, and an answer to what it asked."""

    def __init__(self) -> None:
        self.message: engine.Message | None = None
        self.answer: dict | None = None
        self.skipped = 0
        self.changed = asyncio.Event()

    async def send_to(self, socket_: WebSocket) -> None:
        """Sends what there is, for as long as somebody is there."""
        while True:
            await self.changed.wait()
            self.changed.clear()
            answer, self.answer = self.answer, None
            if answer is not None:
                await socket_.send_text(json.dumps(answer))
            message, self.message = self.message, None
            if message is not None:
                header, data = message.packed()
                text = json.dumps(header | {'skipped': self.skipped}).encode()
                text += b' ' * (-len(text) % 4)  # the map then starts where numbers may
                await socket_.send_bytes(len(text).to_bytes(4, 'little') + text + data)


class _Guard:
    """Refuses requests that are not allowed, see the module's text."""

    def __init__(self, app, live: Live) -> None:
        self._app, self._live = app, live

    async def __call__(self, scope, receive, send) -> None:
        if scope['type'] in ('http', 'websocket') and not self._live.allows(HTTPConnection(scope)):
            if scope['type'] == 'websocket':
                await WebSocket(scope, receive, send).close(1008)
            else:
                refused = PlainTextResponse('refused: another host, site or token', 403)
                await refused(scope, receive, send)
            return
        await self._app(scope, receive, send)


def bind(host: str, port: int) -> socket.socket:
    """A socket at an address.

    Raises:
        ValueError: the port is taken, or the address is not of this machine.
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
            f'{host}:{port} cannot be served ({error.strerror}); is another program, or another '
            'dualcam live, there? Choose another --port'
        ) from error
    return bound


def serve(live: Live, bound: socket.socket) -> None:
    """Serves until Ctrl-C."""
    config = uvicorn.Config(
        live.app, log_level='error', access_log=False, ws='websockets-sansio', ws_max_size=1 << 16
    )
    uvicorn.Server(config).run(sockets=[bound])
