"""What becomes of an answer: which are taken, which go to a person; for evaluation and report."""
