"""Recipes, steps, the loop, and runs."""
