"""The seven nodes in a FastAPI endpoint; the session awaits, and is open until the response is out."""

MODULES = (
    "by_hand",
    "wares",
    "aioinject",
    "dishka",
    "fastapi",
    "svcs",
    "that_depends",
    "wireup",
)
PATH = "/"
