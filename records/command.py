"""What all commands share; it lives in the library, whose own command needs it too."""

from dualcam.command import clean_errors as clean_errors
