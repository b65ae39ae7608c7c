"""Installs the `dualcam` package; records/ and experiments/ run from the checkout."""

import pathlib

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent

setup(
    name='dualcam',
    version='0.1.0',
    description='Learning from acoustic images: teachers, one-microphone students, distillation.',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='MIT',
    packages=find_packages(include=['dualcam', 'dualcam.*']),
    python_requires='>=3.10,<3.13',
    install_requires=[
        # tensorflow-io's compiled part loads with TensorFlow 2.16 and 2.17 only; pip does not know.
        'tensorflow>=2.16.2,<2.18',
        'tensorflow-io==0.37.1',
        'keras>=3.10',
        'numpy>=1.26,<2',
        'scipy>=1.11',
        'python_speech_features==0.6',
        'absl-py',
        'h5py',
        'scikit-learn',
        'threadpoolctl',
        'matplotlib',
        'soundfile',
        'soxr',
        'pillow',
        'av',
        'tqdm',
        'google-crc32c',  # checksums of records
        'isal',  # GZIP, ten times as fast
        'tensorflow-serving-api>=2.16,<2.18',  # requests that a server warms up with
        'setuptools<82',  # TensorBoard 2.16 imports pkg_resources
    ],
    entry_points={'console_scripts': ['dualcam=dualcam.cli.main:main']},
    extras_require={
        'dev': ['pytest', 'pytest-xdist', 'ruff', 'selenium'],
        'bench': ['torch', 'acoular', 'librosa', 'pyroomacoustics'],
        'microphone': ['sounddevice'],
        'profile': ['tensorboard-plugin-profile'],
    },
)
