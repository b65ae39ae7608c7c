"""The embedded data: scenes simulated in the raw layouts of AVIA and ACIVW."""
