"""Applications that serve one path for every candidate: the same endpoint, wired in its way.

Each module has `NAMES` and `make(name)`, which makes the application. The paths that are
served are named in the package of each framework.
"""
