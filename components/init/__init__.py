"""Init: a folder, an archive or a bucket → a params.yaml that fits it."""
