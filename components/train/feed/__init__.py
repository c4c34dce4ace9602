"""What a network is fed; for probe, finetuning and run."""
