"""The AVIA raw layout: finds the takes and checks that they are complete.

    matfiles/Location_LL/Subject_SS/Action_AAA/MFCC_Image/Data_I.mat    key 'MFCC', I from 1
    sync/Location_LL/Subject_SS/Action_AAA/audio/A_IIIIII.npy           int32 [mics, 1024]
    sync/Location_LL/Subject_SS/Action_AAA/video/I_IIIIII.jpeg          480 x 640
    array/Location_LL/Subject_SS/Action_AAA/audio/A_IIIIII.dc           int32 [mics, 1024], Fortran

`frame_files` reads the files; `acivw_layout` is the same for the layout of ACIVW.
"""

import dataclasses
import pathlib
import re
from collections.abc import Mapping

import numpy as np

from dualcam.files.path_types import AnyPath
from records import frame_files

_SEQUENCE = re.compile(r'Location_(\d+)/Subject_(\d+)/Action_(\d+)')

# Folder and suffix of the frame files of a modality within a sequence.
_FRAME_FILES = {
    'acoustic': ('MFCC_Image', '.mat'),
    'audio': ('audio', '.npy'),
    'video': ('video', '.jpeg'),
    'array': ('audio', '.dc'),
}


@dataclasses.dataclass(frozen=True)
class RawSequence:
    """One take: an action of a subject in a scenario.

    Attributes:
        location, subject: from 1, like the folders.
        action: from 0, like the raw folders.
        files: for each modality the frame files in order.
    """

    location: int
    subject: int
    action: int
    files: dict[str, tuple[pathlib.Path, ...]]

    @property
    def name(self) -> str:
        """Its folder below the root."""
        return sequence_name(self.location, self.subject, self.action)

    @property
    def num_frames(self) -> int:
        """Number of frames, the same in every modality."""
        return len(next(iter(self.files.values())))


def sequence_name(location: int, subject: int, action: int) -> str:
    """Folder of a raw sequence below its root; `action` from 0."""
    return f'Location_{location:02d}/Subject_{subject:02d}/Action_{action:03d}'


def find_sequences(roots: Mapping[str, AnyPath], only: str | None = None) -> list[RawSequence]:
    """Finds all takes below the given folders, or one of them, with all of their modalities.

    Args:
        roots: {modality name: folder with Location_LL/...}, one or more of 'acoustic',
            'audio', 'video', 'array'.
        only: name of one take; the others are ignored.

    Returns:
        `RawSequence`s sorted by name, each with the same number of frames in every modality.

    Raises:
        ValueError: a root or a sequence's modality folder is missing, the numbering of files has
            gaps, or modalities differ in their number of frames.
    """
    found = {name: _sequence_folders(name, pathlib.Path(root)) for name, root in roots.items()}
    keys = [
        key for key in sorted(set().union(*found.values())) if only in (None, sequence_name(*key))
    ]
    sequences = []
    for key in keys:
        files = {}
        for name, folders in found.items():
            if key not in folders:
                raise ValueError(
                    f'{pathlib.Path(roots[name]) / sequence_name(*key)}: no {name} frames, though '
                    f'{" and ".join(sorted(n for n in found if key in found[n]))} have them; '
                    'restore the folder or leave the modality out'
                )
            files[name] = frame_files.numbered(folders[key], _FRAME_FILES[name][1])
        counts = {name: len(paths) for name, paths in files.items()}
        if len(set(counts.values())) != 1:
            raise ValueError(
                f'{sequence_name(*key)}: unequal numbers of frames {counts} below '
                f'{ {n: str(r) for n, r in roots.items()} }'
            )
        location, subject, action = key
        sequences.append(RawSequence(location, subject, action, files))
    return sequences


def _sequence_folders(name, root):
    """{(location, subject, action): folder of the frame files} of one modality."""
    if not root.is_dir():
        raise ValueError(
            f'{root}: no such folder; expected Location_LL/Subject_SS/Action_AAA '
            f'with {name} frames below it'
        )
    inner, _ = _FRAME_FILES[name]
    folders = {}
    for folder in sorted(root.glob('Location_*/Subject_*/Action_*')):
        match = _SEQUENCE.fullmatch(folder.relative_to(root).as_posix())
        if match and (folder / inner).is_dir():
            folders[tuple(map(int, match.groups()))] = folder / inner
    if not folders:
        raise ValueError(
            f'{root}: no Location_LL/Subject_SS/Action_AAA/{inner} below it; is '
            f'this the folder with the {name} frames?'
        )
    return folders


def read_frame(name: str, path: AnyPath) -> np.ndarray:
    """One frame of a modality, as a record stores it.

    Args:
        name: 'acoustic', 'audio', 'video' or 'array'.
        path: of the frame's file.

    Returns:
        float32 [36, 48, 12], int32 [mics, 1024], uint8 [480, 640, 3] in BGR order, or int32
        [mics, 1024].

    Raises:
        ValueError: the file cannot be read as such a frame; the message names it.
    """
    return _READERS[name](pathlib.Path(path))


_READERS = {
    'acoustic': frame_files.read_mat,
    'audio': frame_files.read_npy,
    'video': frame_files.read_jpeg,
    'array': frame_files.read_dc,
}
