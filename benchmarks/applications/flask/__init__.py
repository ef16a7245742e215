"""The seven nodes with a session in a Flask view."""

MODULES = ("by_hand", "wares", "dependency_injector", "dishka", "svcs", "wireup")
PATH = "/"
