"""The application of wireup's own published benchmark, after its description, written anew.

`/singleton` asks for two application-lived services, `/scoped` for ten parameters out of a
dense graph of seven request-lived ones, among them a generator and an async generator.
"""

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
PATHS = ("/singleton", "/scoped")
