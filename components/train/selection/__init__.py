"""What the validation split decides: scores, the kept epoch, calibration; for all above feed."""
