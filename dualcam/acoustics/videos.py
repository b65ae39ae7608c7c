"""Videos of takes, read frame by frame at given times of the sound.

Reads any file that PyAV reads, at any size and frame rate, constant or not. Frames are flipped back
if the view says that they are mirrored or upside down, and rotated if the file itself says so.
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Iterator

import numpy as np

from dualcam.acoustics import views
from dualcam.files.path_types import AnyPath

_MOST_PIXELS = 8192 * 8192
_LINGER_S = 1.0  # how long the last frame stays


class BadVideo(ValueError):
    """A file is not a video; the message names it."""


@dataclasses.dataclass(frozen=True)
class Video:
    """A video file; each call opens it separately.

    Attributes:
        path: of the file.
        size: (width, height) of its frames as returned.
        rate_hz: average frames per second.
        duration_s: as stated by the file; 0 if it is not.
        quarters: number of counterclockwise rotations by 90 degrees.
    """

    path: pathlib.Path
    size: tuple[int, int]
    rate_hz: float
    duration_s: float
    quarters: int = 0

    def pictures(
        self, size: tuple[int, int] | None = None, view: views.View | None = None
    ) -> Iterator[tuple[float, np.ndarray]]:
        """Yields all frames, the first at 0 s.

        Args:
            size: (width, height) to scale to; None for the original size.
            view: states whether they are mirrored or upside down; None for neither.

        Yields:
            (time in s, [height, width, 3] uint8 RGB).

        Raises:
            BadVideo: nothing can be read from a damaged file. A truncated one just ends early.
        """
        import av  # imported here: few callers need its libraries

        size = size or self.size
        stored = size[::-1] if self.quarters % 2 else size
        start_s, shown = None, 0
        with _opened(self.path) as container:
            try:
                for frame in container.decode(video=0):
                    time_s = shown / self.rate_hz if frame.time is None else frame.time
                    start_s = time_s if start_s is None else start_s
                    picture = frame.to_ndarray(format='rgb24', width=stored[0], height=stored[1])
                    if self.quarters:
                        picture = np.rot90(picture, self.quarters)
                    shown += 1
                    yield time_s - start_s, view.turned(picture) if view else picture
            except av.FFmpegError as error:
                if not shown:
                    raise BadVideo(f'{self.path}: damaged ({error})') from error

    def at(
        self,
        times_s: Iterable[float],
        size: tuple[int, int] | None = None,
        view: views.View | None = None,
    ) -> Iterator[np.ndarray | None]:
        """Yields the frame shown at each of some increasing times.

        Args:
            times_s: relative to the first frame.
            size, view: see `pictures`.

        Yields:
            [height, width, 3] uint8 RGB; None before the first frame, and from one second after
            the last one.
        """
        pictures = self.pictures(size, view)
        shown, following = None, next(pictures, None)
        for time_s in times_s:
            while following is not None and following[0] <= time_s + 1e-6:
                shown, following = following, next(pictures, None)
            ended = following is None and shown is not None and time_s > shown[0] + _LINGER_S
            yield None if shown is None or ended else shown[1]


def open_video(path: AnyPath) -> Video:
    """Opens a video.

    Raises:
        BadVideo: it is not a readable video.
    """
    import av

    path = pathlib.Path(path)
    with _opened(path) as container:
        stream = container.streams.video[0]
        try:
            first = next(container.decode(stream))
        except (StopIteration, av.FFmpegError) as error:
            raise BadVideo(f'{path}: none of its frames can be read ({error!r})') from error
        if not 0 < first.width * first.height <= _MOST_PIXELS:
            raise BadVideo(f'{path}: frames of {first.width} x {first.height}')
        rate_hz = float(stream.average_rate or stream.guessed_rate or 0) or 25.0
        duration_s = (
            float(stream.duration * stream.time_base)
            if stream.duration is not None
            else (container.duration or 0) / 1e6
        )
        quarters = round(getattr(first, 'rotation', 0) / 90) % 4
        size = (first.width, first.height)
        return Video(path, size[::-1] if quarters % 2 else size, rate_hz, duration_s, quarters)


def has_pictures(path: AnyPath) -> bool:
    """Whether a file has video with readable frames."""
    try:
        open_video(path)
    except BadVideo:
        return False
    return True


def _opened(path):
    import av

    if not path.is_file():
        raise BadVideo(f'{path}: no such file')
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise BadVideo(f'{path}: not a video that PyAV reads ({error})') from error
    if not container.streams.video:
        container.close()
        raise BadVideo(f'{path}: has no video frames')
    return container
