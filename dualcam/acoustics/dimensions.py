"""Sizes of recordings and acoustic images, from the array's frames to the cepstral channels.

One frame of the array is 1,024 samples of each microphone, at 12 frames per second. It becomes an
image of 36 x 48 directions with 512 frequencies, which is compressed to 12 cepstral channels (WACV
2020). Records contain images of these sizes; see `dualcam.data.schema`.
"""

FRAMES_PER_SECOND = 12
SAMPLES_PER_FRAME = 1024
ARRAY_RATE_HZ = FRAMES_PER_SECOND * SAMPLES_PER_FRAME  # 12,288; the papers round to 12 kHz

ROWS, COLS = 36, 48
BINS = 512  # of a multispectral acoustic image, 12 Hz apart
CEPSTRA = 12  # of a compressed one
