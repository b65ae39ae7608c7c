"""A sound in every supported file format, by extension."""

import pathlib

import av
import numpy as np
import soundfile

# {ending: (libsndfile's format, subtype or None for its default)}
_LIBSNDFILE = {
    '.wav': ('WAV', None), '.wave': ('WAV', 'FLOAT'), '.bwf': ('WAVEX', 'PCM_24'),
    '.rf64': ('RF64', None), '.w64': ('W64', None), '.flac': ('FLAC', None),
    '.ogg': ('OGG', 'VORBIS'), '.oga': ('OGG', 'VORBIS'), '.opus': ('OGG', 'OPUS'),
    '.mp3': ('MP3', None), '.aif': ('AIFF', None), '.aiff': ('AIFF', 'PCM_24'),
    '.aifc': ('AIFF', 'FLOAT'), '.au': ('AU', None), '.snd': ('AU', None), '.caf': ('CAF', None),
    '.sph': ('NIST', None), '.nist': ('NIST', None), '.voc': ('VOC', None),
    '.ircam': ('IRCAM', None), '.sf': ('IRCAM', None), '.pvf': ('PVF', None),
    '.paf': ('PAF', None), '.avr': ('AVR', None), '.svx': ('SVX', None), '.8svx': ('SVX', None),
}  # fmt: skip
# {ending: (FFmpeg's container, codec)}
_FFMPEG = {
    '.mp2': ('mp2', 'mp2'), '.mpga': ('mp2', 'mp2'),
    '.m4a': ('ipod', 'aac'), '.m4b': ('ipod', 'aac'), '.m4r': ('ipod', 'alac'),
    '.mp4': ('mp4', 'aac'), '.m4v': ('mp4', 'aac'), '.mov': ('mov', 'pcm_s16le'),
    '.qt': ('mov', 'aac'), '.f4v': ('f4v', 'aac'), '.3gp': ('3gp', 'aac'), '.3g2': ('3g2', 'aac'),
    '.aac': ('adts', 'aac'), '.adts': ('adts', 'aac'), '.webm': ('webm', 'libopus'),
    '.weba': ('webm', 'libopus'), '.mkv': ('matroska', 'aac'), '.mka': ('matroska', 'flac'),
    '.wma': ('asf', 'wmav2'), '.wmv': ('asf', 'wmav2'), '.asf': ('asf', 'wmav1'),
    '.ogv': ('ogg', 'libopus'), '.spx': ('ogg', 'libopus'), '.avi': ('avi', 'libmp3lame'),
    '.flv': ('flv', 'aac'), '.ac3': ('ac3', 'ac3'), '.eac3': ('eac3', 'eac3'),
    '.amr': ('amr', 'libopencore_amrnb'), '.wv': ('wv', 'wavpack'), '.tta': ('tta', 'tta'),
    '.mpg': ('mpeg', 'mp2'), '.mpeg': ('mpeg', 'mp2'), '.vob': ('vob', 'ac3'),
    '.mts': ('mpegts', 'aac'), '.m2ts': ('mpegts', 'ac3'), '.ts': ('mpegts', 'mp2'),
    '.rm': ('rm', 'ac3'), '.nut': ('nut', 'aac'),
}  # fmt: skip
SUFFIXES = (*_LIBSNDFILE, *_FFMPEG)
# Formats that can only be decoded, by their first bytes: {ending: (bytes, demuxer)}
ONLY_READ = {
    '.ape': (b'MAC \x96\x0f', 'ape'), '.dts': (b'\x7f\xfe\x80\x01\xfc', 'dts'),
    '.mpc': (b'MPCKSH', 'mpc8'), '.tak': (b'tBaK', 'tak'), '.dsf': (b'DSD \x1c', 'dsf'),
    '.shn': (b'ajkg\x02', 'shn'), '.qoa': (b'qoaf', 'qoa'),
    '.ra': (b'.ra\xfd', 'rm'), '.mxf': (b'\x06\x0e\x2b\x34\x02\x05\x01\x01', 'mxf'),
}  # fmt: skip


def write(path: pathlib.Path, signal: np.ndarray, suffix: str = '') -> None:
    """Writes a sound in the format of an extension.

    Args:
        path: of the file.
        signal: [samples], full scale 1, at 48 kHz; at 8 kHz for AMR.
        suffix: by default the path's own.
    """
    suffix = suffix or path.suffix
    if suffix in _LIBSNDFILE:
        form, subtype = _LIBSNDFILE[suffix]
        soundfile.write(str(path), signal, 48_000, subtype, format=form)
        return
    form, codec = _FFMPEG[suffix]
    rate_hz = 8_000 if suffix == '.amr' else 48_000
    with av.open(str(path), 'w', format=form, options={'fflags': '+bitexact'}) as container:
        stream = container.add_stream(codec, rate=rate_hz)
        stream.layout = 'mono'
        stream.bit_rate = 12_200 if suffix == '.amr' else 128_000
        values = np.round(signal * 32_767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(values, 's16', 'mono')
        frame.sample_rate = rate_hz
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
