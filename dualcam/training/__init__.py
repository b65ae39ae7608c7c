"""Regimes, the loop, and runs."""
