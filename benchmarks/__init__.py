"""Rates on this machine; run with make bench."""
