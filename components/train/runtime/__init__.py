"""What training runs on, and what survives a kill; for probe, finetuning, records, search, run."""
