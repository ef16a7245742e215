"""wares compared with its peers in one run: `python -m benchmarks`. README.md explains the method.

This package uses only what each peer documents. `wares` never imports it.
"""
