"""The live view's server: one page, one WebSocket per open page, recorded takes."""

import asyncio
import contextlib
import json
import pathlib
import time
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from dualcam.live import engine, serving

_MOST_VIDEO_BYTES = 4 << 30


class Live:
    """The application and its open pages.

    Args:
        running: the engine; `serve` starts and stops it.
        token: required in requests; None on this machine's own address.
        video: file that the page shows instead of a camera, or None.
        video_offset_s: its start, in time of the sound.
    """

    def __init__(
        self,
        running: engine.Engine,
        token: str | None = None,
        video: pathlib.Path | None = None,
        video_offset_s: float = 0.0,
    ) -> None:
        self._engine, self._token = running, token
        self._video, self._video_offset_s = video, video_offset_s
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
                Mount('/page', serving.PageFiles()),
            ],
            lifespan=self._lifespan,
        )
        self.app.add_middleware(serving.Guard, token=token)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        self._engine.start()
        try:
            yield
        finally:
            await asyncio.to_thread(self._engine.stop)

    async def _page(self, request: Request) -> Response:
        return serving.page('index.html', self._token)

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
                'video_offset_s': self._video_offset_s,
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
            return PlainTextResponse('takes are not recorded; start with --out=DIR', 404)
        data = bytearray()
        async for part in request.stream():
            data += part
            if len(data) > _MOST_VIDEO_BYTES:
                return PlainTextResponse('larger than 4 GiB', 413)
        try:
            began_at = float(request.query_params.get('began_ms', 'nan')) / 1000
            if not abs(began_at - time.time()) < 1e6:
                raise ValueError('began_ms: expected the time of the first frame')
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
        """Response to a page's request."""
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
        """Passes a message to all open pages; called from the engine's thread."""
        if self._watchers and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._hand_out, message)

    def _hand_out(self, message: engine.Message) -> None:
        for watcher in self._watchers:
            watcher.skipped += watcher.message is not None
            watcher.message = message
            watcher.changed.set()


class _Watcher:
    """An open page: the newest message for it, and the response to its last request."""

    def __init__(self) -> None:
        self.message: engine.Message | None = None
        self.answer: dict | None = None
        self.skipped = 0
        self.changed = asyncio.Event()

    async def send_to(self, socket_: WebSocket) -> None:
        """Sends messages for as long as the page is connected."""
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
                text += b' ' * (-len(text) % 4)  # aligns the map that follows
                await socket_.send_bytes(len(text).to_bytes(4, 'little') + text + data)
