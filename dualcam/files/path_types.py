"""Path types for annotations of public functions."""

import os

AnyPath = str | os.PathLike[str]
