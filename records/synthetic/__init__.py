"""The embedded default: scenes simulated into the AVIA raw layout."""
