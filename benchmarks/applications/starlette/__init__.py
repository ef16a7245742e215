"""The seven nodes with an async session in a Starlette endpoint."""

MODULES = ("by_hand", "wares", "dishka", "svcs", "wireup")
PATH = "/"
