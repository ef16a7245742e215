"""The seven nodes in a FastAPI endpoint; the session is open until the response has been sent."""

MODULES = (
    "by_hand",
    "wares",
    "aioinject",
    "dependency_injector",
    "dishka",
    "fastapi",
    "svcs",
    "that_depends",
    "wireup",
)
PATH = "/"
