"""The live view: an array's sound as it comes in, on a page."""
