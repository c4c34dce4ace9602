"""Command line: `python -m pipelines --help`."""

from pipelines.cli import main

if __name__ == "__main__":
    main()
