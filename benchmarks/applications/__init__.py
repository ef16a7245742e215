"""The same application for every candidate, wired as the candidate's documentation shows.

Each module has `NAMES` and `make(name)`, which makes the application. The package of each framework
has the paths.
"""
