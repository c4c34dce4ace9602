"""Numbers with intervals, from predictions alone; for all inner rooms, evaluation and records."""
