"""Ingest: a data set or an archive → a folder of images."""
