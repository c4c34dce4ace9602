"""One question to the model a file, one dataclass an answer; for evaluation, report and run."""
