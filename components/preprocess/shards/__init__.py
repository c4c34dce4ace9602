"""From the rows of a split to TFRecord files, or those that stand already; for contents, run."""
