"""Files of weights as others write them, read without running what is in them; networks alone."""
