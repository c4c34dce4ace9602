"""The files that rooms hand each other, one a module; for all rooms, serving and pipelines."""
