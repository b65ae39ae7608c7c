"""`python -m dualcam`: the `dualcam` command."""

import sys

from dualcam.cli.main import main

sys.exit(main())
