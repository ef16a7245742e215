"""The seven nodes with an async session in a FastAPI endpoint, open until the response is out."""

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
