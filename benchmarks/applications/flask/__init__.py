"""The seven nodes with a session in a Flask view."""

MODULES = ("by_hand", "wares", "dishka", "svcs", "wireup")
PATH = "/"
