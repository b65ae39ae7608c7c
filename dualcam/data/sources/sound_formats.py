"""Identifies sound files: by name in folders, by their first bytes when they are read.

libsndfile reads most of them; other formats go to FFmpeg's libraries (PyAV), with the one demuxer
that the first bytes indicate: text that refers to other files or addresses is never followed.
"""

import re

from dualcam.files.path_types import AnyPath

# In folders, files are chosen by extension; a file given by itself may have any.
LIBSNDFILE_SUFFIXES = (
    '.wav', '.wave', '.bwf', '.rf64', '.w64', '.flac', '.ogg', '.oga', '.opus', '.mp3', '.mp2',
    '.mpga', '.aif', '.aiff', '.aifc', '.au', '.snd', '.caf', '.sph', '.nist', '.voc', '.ircam',
    '.sf', '.pvf', '.paf', '.avr', '.svx', '.8svx',
)  # fmt: skip
FFMPEG_SUFFIXES = (
    '.m4a', '.m4b', '.m4r', '.mp4', '.m4v', '.mov', '.qt', '.3gp', '.3g2', '.aac', '.adts',
    '.webm', '.weba', '.mkv', '.mka', '.wma', '.wmv', '.asf', '.ogv', '.spx', '.avi', '.flv',
    '.f4v', '.ac3', '.eac3', '.amr', '.ape', '.wv', '.tta', '.mpg', '.mpeg', '.vob', '.mts',
    '.m2ts', '.ts', '.dts', '.rm', '.ra', '.mxf', '.nut', '.mpc', '.tak', '.shn', '.dsf', '.qoa',
)  # fmt: skip
SUFFIXES = LIBSNDFILE_SUFFIXES + FFMPEG_SUFFIXES

_AT = {
    0: {
        b'OggS': 'ogg',
        b'fLaC': 'flac',
        b'caff': 'caf',
        b'.snd': 'au',
        b'#!AMR': 'amr',
        b'\x1aE\xdf\xa3': 'matroska',
        b'0&\xb2u\x8ef\xcf\x11': 'asf',
        b'FLV': 'flv',
        b'MAC ': 'ape',
        b'wvpk': 'wv',
        b'TTA': 'tta',
        b'\x00\x00\x01\xba': 'mpeg',
        b'\x7f\xfe\x80\x01': 'dts',
        b'.RMF': 'rm',
        b'.ra\xfd': 'rm',
        b'\x06\x0e+4\x02\x05\x01\x01': 'mxf',
        b'nut/multimedia container\0': 'nut',
        b'MP+': 'mpc',
        b'MPCK': 'mpc8',
        b'tBaK': 'tak',
        b'ajkg': 'shn',
        b'DSD ': 'dsf',
        b'qoaf': 'qoa',
    },
    4: dict.fromkeys((b'ftyp', b'moov', b'mdat', b'wide', b'free', b'skip'), 'mov'),
}
_FORMS = {b'WAVE': 'wav', b'AVI ': 'avi', b'AIFF': 'aiff', b'AIFC': 'aiff'}
HEAD_BYTES = 4096  # examined by `demuxer_of`
_ID3_BYTES, _MOST_TAGS = 10, 100  # of the header of such a tag; one after the other
_PACKET_BYTES = 188  # of a transport stream


def read_head(path: AnyPath) -> bytes:
    """The first `HEAD_BYTES` of a file after any ID3 tags, as in MP3 and AAC files.

    Such a tag may contain a cover image, which is far longer than that.

    Raises:
        OSError: the file cannot be read.
    """
    start = 0
    with open(path, 'rb') as file:
        for _ in range(_MOST_TAGS):
            file.seek(start)
            head = file.read(HEAD_BYTES)
            if head[:3] != b'ID3' or len(head) < _ID3_BYTES:
                break
            start += _ID3_BYTES + sum(
                byte << 7 * (3 - place) for place, byte in enumerate(head[6:_ID3_BYTES])
            )
        return head


def demuxer_of(head: bytes) -> str | None:
    """FFmpeg's name of the container indicated by a file's first bytes, or None.

    Args:
        head: see `read_head`.
    """
    for place, names in _AT.items():
        for magic, name in names.items():
            if head[place:].startswith(magic):
                return name
    if head[:4] in (b'RIFF', b'RF64', b'BW64', b'FORM'):
        return _FORMS.get(head[8:12])
    for place, step in ((0, _PACKET_BYTES), (4, _PACKET_BYTES + 4)):
        if len(head) > place + 4 * step and set(head[place : place + 4 * step : step]) == {0x47}:
            return 'mpegts'
    if head[:2] == b'\x0bw':
        return 'ac3' if len(head) > 5 and head[5] >> 3 <= 10 else 'eac3'
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return 'aac'
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06:
        return 'mp3'
    return None


def kind_of(head: bytes) -> str | None:
    """What a file is that is not audio despite its name; None if unknown."""
    start = head[:200].lstrip(b'\xef\xbb\xbf \t\r\n').lower()
    if not head.strip(b'\0'):
        return 'an empty file' if not head else 'zeros only'
    if start.startswith((b'<!doctype html', b'<html')):
        return 'a web page, perhaps from a failed download'
    if start.startswith(b'version https://git-lfs'):
        return 'a Git LFS pointer; fetch the file itself with git lfs pull'
    if re.match(rb'(#extm3u|\[playlist\]|ffconcat)', start):
        return 'a playlist, which contains no audio itself'
    return None
