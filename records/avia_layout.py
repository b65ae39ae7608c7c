"""The AVIA raw layout: where the takes are, and that they are whole.

    matfiles/Location_LL/Subject_SS/Action_AAA/MFCC_Image/Data_I.mat    key 'MFCC', I from 1
    sync/Location_LL/Subject_SS/Action_AAA/audio/A_IIIIII.npy           int32 [mics, 1024]
    sync/Location_LL/Subject_SS/Action_AAA/video/I_IIIIII.jpeg          480 x 640
    array/Location_LL/Subject_SS/Action_AAA/audio/A_IIIIII.dc           int32 [mics, 1024], Fortran

`frame_files` reads the files; `acivw_layout` is the same for the layout of ACIVW.
"""

import dataclasses
import pathlib
import re

from records import frame_files

_SEQUENCE = re.compile(r'Location_(\d+)/Subject_(\d+)/Action_(\d+)')

# Folder and kind of the frame files of a modality inside a sequence.
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
        location, subject: from 1, as the folders count.
        action: from 0, as the raw folders count.
        files: for each modality the frame files in order.
    """

    location: int
    subject: int
    action: int
    files: dict[str, tuple[pathlib.Path, ...]]

    @property
    def name(self):
        return sequence_name(self.location, self.subject, self.action)

    @property
    def num_frames(self):
        return len(next(iter(self.files.values())))


def sequence_name(location, subject, action):
    """Folder of a raw sequence below its root; `action` from 0."""
    return f'Location_{location:02d}/Subject_{subject:02d}/Action_{action:03d}'


def find_sequences(roots, only=None):
    """All takes below the given folders, or one, aligned over the modalities.

    Args:
        roots: {modality name: folder that holds Location_LL/...}, one or more of 'acoustic',
            'audio', 'video', 'array'.
        only: name of one take; the others are not looked at.

    Returns:
        `RawSequence`s sorted by name, each with the same number of frames in every modality.

    Raises:
        ValueError: a root or a sequence's modality folder is missing, files are missing in the
            numbering, or modalities differ in their number of frames.
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
        sequences.append(RawSequence(*key, files))
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


def read_frame(name, path):
    """One frame of a modality, as it is stored in a record.

    Args:
        name: 'acoustic', 'audio', 'video' or 'array'.
        path: of the frame's file.

    Returns:
        float32 [36, 48, 12], int32 [mics, 1024], uint8 [480, 640, 3] in BGR order, or int32
        [mics, 1024].

    Raises:
        ValueError: the file is not readable as such a frame; the message names it.
    """
    return _READERS[name](pathlib.Path(path))


_READERS = {
    'acoustic': frame_files.read_mat,
    'audio': frame_files.read_npy,
    'video': frame_files.read_jpeg,
    'array': frame_files.read_dc,
}
