"""Filling the parameters of functions from a container: `Depends`, `Inject`, `inject` and so on.

Begin with `injection.py`, which decorates a function. It reads what the function needs (`reading`,
`checks`), and writes a wrapper (`wrappers`) that gets the dependencies (`calls`) and calls it.
"""
