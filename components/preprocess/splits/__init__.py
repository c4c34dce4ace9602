"""Who is in which split, and why; no image is opened for it; for contents and report."""
