"""The error that an adapter raises if its framework is not installed."""

from __future__ import annotations

import attrs

from wares.exceptions import MissingExtraError


@attrs.frozen
class needs_extra:  # noqa: N801  # used as a statement
    """A ``with`` block of imports from a package that an extra of wares installs.

    Args:
        adapter: The module with the imports: ``"wares.aiohttp"``.
        extra: The extra.
        package: The package, if its name differs from that of the extra.

    Raises:
        MissingExtraError: The package is not installed.
    """

    adapter: str
    extra: str
    package: str = attrs.Factory(lambda self: self.extra, takes_self=True)

    def __enter__(self) -> None:
        pass

    # It returns None, so that type checkers know the imported names after the block.
    def __exit__(self, _kind: object, error: object, _traceback: object) -> None:
        if not isinstance(error, ModuleNotFoundError):
            return
        if (error.name or "").split(".")[0] == self.package:
            raise MissingExtraError(self.adapter, self.extra) from error
