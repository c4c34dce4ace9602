"""Pretrained weights as files: on a shelf, or of the registry; for records, run and commands."""
