"""The AVIA raw layout, read: .mat cepstra, .npy sound, .jpeg video, .dc array recordings.

    matfiles/Location_LL/Subject_SS/Action_AAA/MFCC_Image/Data_I.mat    key 'MFCC', I from 1
    sync/Location_LL/Subject_SS/Action_AAA/audio/A_IIIIII.npy           int32 [mics, 1024]
    sync/Location_LL/Subject_SS/Action_AAA/video/I_IIIIII.jpeg          480 x 640
    array/Location_LL/Subject_SS/Action_AAA/audio/A_IIIIII.dc           int32 [mics, 1024], Fortran

Whatever a file holds instead of that is a `ValueError` that names it.
"""

import dataclasses
import pathlib
import re

import numpy as np
import scipy.io
from PIL import Image

from dualcam.data import schema

_SEQUENCE = re.compile(r'Location_(\d+)/Subject_(\d+)/Action_(\d+)')

# Folder, prefix and suffix of the numbered frame files inside a sequence.
_FRAME_FILES = {
    'acoustic': ('MFCC_Image', re.compile(r'Data_(\d+)\.mat')),
    'audio': ('audio', re.compile(r'A_(\d+)\.npy')),
    'video': ('video', re.compile(r'I_(\d+)\.jpe?g')),
    'array': ('audio', re.compile(r'A_(\d+)\.dc')),
}
_MAX_MICS = 4096


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
    keys = [key for key in sorted(set().union(*found.values()))
            if only in (None, sequence_name(*key))]
    sequences = []
    for key in keys:
        files = {}
        for name, folders in found.items():
            if key not in folders:
                raise ValueError(
                    f'{pathlib.Path(roots[name]) / sequence_name(*key)}: no {name} frames, though '
                    f'{" and ".join(sorted(n for n in found if key in found[n]))} have them; '
                    'restore the folder or leave the modality out')
            files[name] = _frame_files(name, folders[key])
        counts = {name: len(paths) for name, paths in files.items()}
        if len(set(counts.values())) != 1:
            raise ValueError(f'{sequence_name(*key)}: unequal numbers of frames {counts} below '
                             f'{ {n: str(r) for n, r in roots.items()} }')
        sequences.append(RawSequence(*key, files))
    return sequences


def _sequence_folders(name, root):
    """{(location, subject, action): folder of the frame files} of one modality."""
    if not root.is_dir():
        raise ValueError(f'{root}: no such folder; expected Location_LL/Subject_SS/Action_AAA '
                         f'with {name} frames below it')
    inner, _ = _FRAME_FILES[name]
    folders = {}
    for folder in sorted(root.glob('Location_*/Subject_*/Action_*')):
        match = _SEQUENCE.fullmatch(folder.relative_to(root).as_posix())
        if match and (folder / inner).is_dir():
            folders[tuple(map(int, match.groups()))] = folder / inner
    if not folders:
        raise ValueError(f'{root}: no Location_LL/Subject_SS/Action_AAA/{inner} below it; is '
                         f'this the folder with the {name} frames?')
    return folders


def _frame_files(name, folder):
    _, pattern = _FRAME_FILES[name]
    numbered = {int(m.group(1)): folder / m.group(0)
                for m in (pattern.fullmatch(entry.name) for entry in folder.iterdir()) if m}
    missing = sorted(set(range(1, len(numbered) + 1)) - set(numbered))
    if not numbered or missing:
        what = f'frame {missing[0]} is missing' if numbered else 'it is empty'
        raise ValueError(f'{folder}: {what}; expected files like {pattern.pattern} numbered '
                         'from 1 without gaps')
    return tuple(numbered[i] for i in sorted(numbered))


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


def read_mat(path):
    """Cepstral image, float32 [36, 48, 12]; a smaller one is padded with zeros in front."""
    try:
        image = scipy.io.loadmat(path, variable_names=['MFCC'])['MFCC']
    except KeyError:
        raise ValueError(f'{path}: no variable MFCC in it') from None
    except Exception as error:      # scipy raises many kinds on a damaged file
        raise ValueError(f'{path}: not a readable .mat file ({error})') from error
    wanted = schema.ACOUSTIC_SHAPE
    if (not isinstance(image, np.ndarray) or image.dtype.kind not in 'fiu' or image.ndim != 3
            or min(image.shape) < 1 or np.any(np.array(image.shape) > wanted)):
        raise ValueError(f'{path}: MFCC is {_describe(image)}; expected numbers of shape up to '
                         f'{wanted}')
    return np.pad(image.astype('<f4'),
                  [(full - size, 0) for full, size in zip(wanted, image.shape, strict=True)])


def read_npy(path):
    """Sound of one frame, int32 [mics, 1024]."""
    try:
        samples = np.load(path, allow_pickle=False)
    except Exception as error:
        raise ValueError(f'{path}: not a readable .npy file ({error})') from error
    return _check_samples(path, samples)


def read_dc(path):
    """Array recording of one frame, raw int32 in Fortran order: [mics, 1024]."""
    try:
        samples = np.fromfile(path, '<i4')
    except OSError as error:
        raise ValueError(f'{path}: not readable ({error})') from error
    if not samples.size or samples.size % schema.SAMPLES_PER_FRAME:
        raise ValueError(f'{path}: {samples.size} samples; expected mics x '
                         f'{schema.SAMPLES_PER_FRAME}')
    return _check_samples(path, samples.reshape(-1, schema.SAMPLES_PER_FRAME, order='F'))


def read_jpeg(path):
    """Video frame, uint8 [480, 640, 3], BGR."""
    # Pillow decodes with the accurate integer transform and smooth chroma, which gives the
    # authors' pixels bit for bit; TensorFlow's default transform does not.
    try:
        with Image.open(path, formats=['JPEG']) as image:
            if (image.height, image.width) != schema.VIDEO_SHAPE[:2]:
                raise ValueError(f'{image.height} x {image.width} pixels')
            pixels = np.asarray(image.convert('RGB'))
    except Exception as error:
        raise ValueError(f'{path}: not a JPEG of {schema.VIDEO_SHAPE[0]} x '
                         f'{schema.VIDEO_SHAPE[1]} pixels ({error})') from error
    return np.ascontiguousarray(pixels[..., ::-1])


def _check_samples(path, samples):
    if (samples.ndim != 2 or samples.shape[1] != schema.SAMPLES_PER_FRAME
            or not 1 <= samples.shape[0] <= _MAX_MICS or samples.dtype.kind != 'i'
            or samples.dtype.itemsize != 4):
        raise ValueError(f'{path}: {_describe(samples)}; expected int32 of shape '
                         f'(mics, {schema.SAMPLES_PER_FRAME})')
    return samples.astype('<i4', copy=False)


def _describe(value):
    if isinstance(value, np.ndarray):
        return f'{value.dtype} of shape {value.shape}'
    return type(value).__name__


_READERS = {'acoustic': read_mat, 'audio': read_npy, 'video': read_jpeg, 'array': read_dc}
