"""The path of the checkout."""

import pathlib

ROOT = pathlib.Path(__file__).parents[2]
