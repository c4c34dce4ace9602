"""The second phase, which knows no probe; for run alone."""
