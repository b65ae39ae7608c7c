"""The live view: an array's sound on a page in real time."""
