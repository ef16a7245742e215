"""wares compared with its peers, all in one run: `python -m benchmarks`, explained in README.md.

This package knows every peer and is never imported by `wares` or its tests; it uses only what
each of them documents.
"""
