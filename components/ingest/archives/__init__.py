"""From an archive of any format to files on disk, nothing in it trusted; for ingest alone."""
