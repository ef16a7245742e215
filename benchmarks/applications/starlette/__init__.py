"""The seven nodes with an async session in a Starlette endpoint."""

MODULES = ("by_hand", "wares", "dependency_injector", "dishka", "svcs", "wireup")
PATH = "/"
