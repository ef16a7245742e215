"""What type checkers see after `import wares`: adapters as attributes, and no name too many."""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from typing import assert_type

from fastapi import FastAPI
from starlette.requests import Request

import wares


def adapters(app: FastAPI, request: Request) -> None:
    """Adapters are attributes of the package, and typed."""
    assert_type(wares.fastapi.get_registry(app), wares.Registry)
    assert_type(wares.starlette.wares_from(request), wares.Container)
    wares.flask.overwrite_value(int, 5)
    raise wares.exceptions.NoRegistryError


def misspelt() -> None:
    """A misspelt name is an error."""
    wares.Regestry()  # type: ignore[attr-defined]  # that is the point
    wares.fastapj.lifespan()  # type: ignore[attr-defined]  # that is the point
    wares.flask.init_ap()  # type: ignore[attr-defined]  # that is the point
    wares.exceptions.WareError()  # type: ignore[attr-defined]  # that is the point
