"""Commands: `thalweg NAME`, or `python -m scripts.NAME` at the root. They parse arguments; the work is in the library."""
