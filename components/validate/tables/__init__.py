"""One table beside the images, read as it was exported, its rows matched to files; for layouts."""
