"""Folders that others publish networks in, read into ours; networks alone."""
