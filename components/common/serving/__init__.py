"""What a registered model carries and runs; packed by promote, also run by predict."""
