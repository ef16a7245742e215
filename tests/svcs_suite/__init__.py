"""svcs' own tests, run on wares; `tox run -e svcs`."""
