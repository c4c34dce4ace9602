"""Which files show the same picture, changed or not; nobody but `run.py` comes in."""
