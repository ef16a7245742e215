"""FastDepends' own tests, run on wares; `tox run -e fastdepends`."""
