"""What lies in a folder, and what places and names in it say; for tables, layouts and run."""
