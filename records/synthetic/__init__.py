"""The embedded default: scenes simulated into the raw layouts of AVIA and ACIVW."""
