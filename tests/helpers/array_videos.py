"""Videos whose frames encode position and time."""

import av
import numpy as np


def write_video(path, size, rate, seconds, mark=None, sound=None, sound_rate=48_000):
    """Writes a dark video with a white square at `mark` and a top left corner that brightens.

    Args:
        path: of the file.
        size: (width, height).
        rate: frames per second.
        seconds: length.
        mark: (x, y) within 0 - 1, or None.
        sound: [samples, channels], full scale 1, as a second stream, 24-bit PCM, or None.
        sound_rate: its sample rate.
    """
    width, height = size
    with av.open(str(path), 'w') as film:
        webm = str(path).endswith('.webm')  # which browsers play
        codec, options = ('libvpx', {'b': '1M'}) if webm else ('mpeg4', {'qscale': '2'})
        stream = film.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
        channels = None
        if sound is not None:
            layout = f'{sound.shape[1]} channels'
            channels = film.add_stream('pcm_s24le', rate=sound_rate, layout=layout)
        count = round(seconds * rate)
        for number in range(count):
            picture = np.full((height, width, 3), 20, np.uint8)
            if mark is not None:
                x, y = round(mark[0] * width), round(mark[1] * height)
                side = max(2, width // 40)
                picture[max(y - side, 0) : y + side, max(x - side, 0) : x + side] = 235
            picture[: height // 8, : width // 8] = 20 + 200 * number // count
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format='rgb24')))
        film.mux(stream.encode())
        if channels is not None:
            block = av.AudioFrame.from_ndarray(
                np.round(sound * 2**31).astype('i4').reshape(1, -1), 's32', layout
            )
            block.sample_rate = sound_rate
            film.mux(channels.encode(block))
            film.mux(channels.encode())


def white_at(picture):
    """(x, y), 0 - 1, of the centre of the white area in a picture [height, width, 3]."""
    rows, cols = np.nonzero(picture.min(axis=2) > 180)
    return (cols.mean() + 0.5) / picture.shape[1], (rows.mean() + 0.5) / picture.shape[0]
