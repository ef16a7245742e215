"""The application of wireup's published benchmark, written again from its description.

`/singleton` asks for two services that live as long as the application. `/scoped` has ten
parameters, for the seven services of a dense graph that live for a request; a generator and an
async generator make two of them.
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
