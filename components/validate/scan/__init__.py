"""Every file opened once: its digest, measures and what is wrong with it; for run, partitions."""
