"""What stands for a path in the annotations of public functions."""

import os

AnyPath = str | os.PathLike[str]
