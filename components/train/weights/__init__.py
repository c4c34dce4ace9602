"""Weights as data: fetched once, kept in folders, verified; for the command line only."""
