"""Recording takes in the live view: sound, video, and a row of `takes.csv`.

A folder contains take_001.wav (RF64, 24 bit, all channels of the array), take_001.webm if the page
had a camera, and takes.csv in the format of `records.convert_array`.
"""

import csv
import dataclasses
import io
import pathlib
import re
import threading

import numpy as np
import soundfile

from dualcam.files import atomic, text_files

TABLE = 'takes.csv'
COLUMNS = ('recording', 'video', 'video_offset_s', 'class', 'subject', 'place')
VIDEO_SUFFIXES = ('.webm', '.mp4')
_NAME = re.compile(r'take_(\d{3,})')
_LONGEST_NAME = 200


@dataclasses.dataclass
class _Running:
    """A take that is being recorded."""

    name: str
    file: soundfile.SoundFile
    row: dict[str, str]
    first: int | None = None
    began_at: float = 0.0
    count: int = 0
    gaps: int = 0


class TakeRecorder:
    """Records takes into a folder.

    Args:
        folder: where to write; created with the first take.
        rate_hz, num_channels: of the sound.
    """

    def __init__(self, folder: pathlib.Path, rate_hz: float, num_channels: int) -> None:
        self._folder = pathlib.Path(folder)
        self._rate_hz, self._num_channels = rate_hz, num_channels
        self._running: _Running | None = None
        self._began: dict[str, float] = {}
        self._lock = threading.Lock()

    @property
    def state(self) -> dict:
        """Name and length of the take being recorded, for the page."""
        with self._lock:
            one = self._running
            if one is None:
                return {}
            return {'name': one.name, 'seconds': one.count / self._rate_hz, 'gaps': one.gaps}

    def start(self, name: str, subject: str = '', place: str = '') -> str:
        """Starts a take of a class; returns its name.

        Raises:
            ValueError: a take is already being recorded, or the class is empty.
            OSError: the folder is not writable.
        """
        words = {'class': name.strip(), 'subject': subject.strip(), 'place': place.strip()}
        if not words['class']:
            raise ValueError('a take needs a class; enter what makes the sound')
        if any(len(word) > _LONGEST_NAME or not word.isprintable() for word in words.values()):
            raise ValueError('class, subject and place: expected one line of text each')
        with self._lock:
            if self._running is not None:
                raise ValueError(f'{self._running.name} is already being recorded')
            self._folder.mkdir(parents=True, exist_ok=True)
            found = [_NAME.match(path.name) for path in self._folder.iterdir()]
            number = 1 + max((int(one[1]) for one in found if one), default=0)
            take = f'take_{number:03d}'
            file = soundfile.SoundFile(
                self._folder / f'{take}.wav',
                'x',
                round(self._rate_hz),
                self._num_channels,
                'PCM_24',
                format='RF64',
            )
            row = {'recording': f'{take}.wav', 'video': '', 'video_offset_s': '', **words}
            self._running = _Running(take, file, row)
            return take

    def add(self, samples: np.ndarray, position: int, heard_at: float) -> None:
        """Writes a block [samples, channels]; blocks dropped before it become silence."""
        with self._lock:
            one = self._running
            if one is None:
                return
            if one.first is None:
                one.first = position
                one.began_at = heard_at - len(samples) / self._rate_hz
            missing = position - one.first - one.count
            if missing > 0:
                one.gaps += 1
                silence = np.zeros((min(missing, round(self._rate_hz)), self._num_channels))
                for start in range(0, missing, len(silence)):
                    one.file.write(silence[: missing - start])
            one.file.write(np.clip(samples, -1.0, 1.0))
            one.count = position - one.first + len(samples)

    def stop(self) -> str | None:
        """Ends the take and writes its row; returns its name, or None if there was no take."""
        with self._lock:
            one, self._running = self._running, None
            if one is None:
                return None
            one.file.close()
            if not one.count:
                (self._folder / f'{one.name}.wav').unlink()
                return None
            self._began[one.name] = one.began_at
            self._write([*self._rows(), one.row])
            return one.name

    def add_video(self, take: str, suffix: str, data: bytes, began_at: float) -> float:
        """Stores a take's video next to it; returns the video's start in the sound, seconds.

        Args:
            take: a name from `stop`.
            suffix: of `VIDEO_SUFFIXES`.
            data: the file.
            began_at: `time.time()` of its first frame.

        Raises:
            ValueError: this session has no such take, or the suffix is not a video's.
        """
        with self._lock:
            if take not in self._began or suffix not in VIDEO_SUFFIXES:
                raise ValueError(f'{take}{suffix}: not a take of this session, or not a video')
            offset_s = round(began_at - self._began[take], 3)
            path = self._folder / f'{take}{suffix}'
            with atomic.writing_file(path) as partial:
                partial.write_bytes(data)
            rows = self._rows()
            for row in rows:
                if row['recording'] == f'{take}.wav':
                    row['video'], row['video_offset_s'] = path.name, f'{offset_s:g}'
            self._write(rows)
            return offset_s

    def takes(self) -> list[dict[str, str]]:
        """The rows of the table."""
        with self._lock:
            return self._rows()

    def _rows(self):
        path = self._folder / TABLE
        return text_files.read_table(path, ('recording', 'class')) if path.exists() else []

    def _write(self, rows):
        columns = list(dict.fromkeys([*COLUMNS, *(name for row in rows for name in row)]))
        text = io.StringIO(newline='')
        writer = csv.DictWriter(text, columns, restval='', lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
        atomic.write_text(self._folder / TABLE, text.getvalue())
