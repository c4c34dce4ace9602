"""Validate: images → manifest and a verdict on the data."""
