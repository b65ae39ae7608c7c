"""A student in a page of its own: it classifies the sound of the viewer's microphone.

The browser does all the work: it records, resamples, and runs the student's `.tflite` file, front
end included, with LiteRT.js from `page/litert`. No sound leaves it, and nothing is loaded from
elsewhere.
"""

import dataclasses
import pathlib
import tempfile
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from dualcam.files.path_types import AnyPath
from dualcam.live import serving

_WASM = 'litert_wasm_compat_internal.wasm'
_KEYS = 'network', 'seconds', 'samples', 'sample_rate_hz', 'classes', 'threshold'


@dataclasses.dataclass(frozen=True, eq=False)
class PageStudent:
    """What a page needs to know about a student.

    Attributes:
        name: display name.
        contents: of the `.tflite` file, for one window at a time.
        metadata: see `export.saved_models`.
    """

    name: str
    contents: bytes
    metadata: dict[str, Any]


def read_student(path: AnyPath) -> PageStudent:
    """Reads a student for a page.

    Args:
        path: a run's folder or a SavedModel, which is converted, or a `.tflite` file.

    Raises:
        ValueError: it is none of these, or has no classes.
        RuntimeError: it cannot be converted.
    """
    # Imported here: TensorFlow takes seconds to start.
    from dualcam.export import tflite
    from dualcam.inference import students

    path = pathlib.Path(path)
    with tempfile.TemporaryDirectory() as folder:
        file = path
        if path.suffix != tflite.SUFFIX:
            file = pathlib.Path(folder) / f'student{tflite.SUFFIX}'
            tflite.convert(students.find_saved_model(path), file, 'float32')
        _, metadata = tflite.open_file(file, num_threads=1)
        if not metadata.get('classes'):
            raise ValueError(f'{path}: {metadata["network"]} has no classes')
        return PageStudent(path.name, tflite.of_one_window(file.read_bytes()), metadata)


def student_app(student: PageStudent, token: str | None = None) -> Starlette:
    """The application serving the page.

    Args:
        student: from `read_student`.
        token: required in requests; None on this machine's own address.
    """
    about = {key: student.metadata.get(key) for key in _KEYS} | {'name': student.name}

    async def page(request: Request) -> Response:
        return serving.page('student.html', token)

    async def description(request: Request) -> Response:
        return JSONResponse(about)

    async def model(request: Request) -> Response:
        return Response(student.contents, media_type='application/octet-stream')

    async def webassembly(request: Request) -> Response:
        # Stored compressed, at a third of its size; browsers decompress it.
        packed = (serving.PAGE / 'litert' / f'{_WASM}.gz').read_bytes()
        return Response(packed, 200, {'Content-Encoding': 'gzip'}, 'application/wasm')

    app = Starlette(
        routes=[
            Route('/', page),
            Route('/student.json', description),
            Route('/student.tflite', model),
            Route(f'/page/litert/{_WASM}', webassembly),
            Mount('/page', serving.PageFiles()),
        ]
    )
    app.add_middleware(serving.Guard, token=token)
    return app
