"""What an adapter says where its framework is not installed.

This module knows the extras of wares. It must not import a framework.
"""

from __future__ import annotations

import attrs

from wares.exceptions import MissingExtraError


@attrs.frozen
class needs_extra:  # noqa: N801  # used as a statement
    """A block of imports that need a package which an extra of wares installs.

    Args:
        adapter: The module that imports: ``"wares.aiohttp"``.
        extra: The extra.
        package: The package, where it is not called as the extra is.

    Raises:
        MissingExtraError: The package is not installed.
    """

    adapter: str
    extra: str
    package: str = attrs.Factory(lambda self: self.extra, takes_self=True)

    def __enter__(self) -> None:
        pass

    # Returns nothing, so that checkers know the imported names after the block.
    def __exit__(self, _kind: object, error: object, _traceback: object) -> None:
        if not isinstance(error, ModuleNotFoundError):
            return
        if (error.name or "").split(".")[0] == self.package:
            raise MissingExtraError(self.adapter, self.extra) from error
