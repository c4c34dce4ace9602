"""From a folder to paths, labels, splits and groups, no pixel read; for run alone."""
