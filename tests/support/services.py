"""Small classes that serve as keys and as services.

They live at module level so that an error message can name them as a user would write them.
"""


class Settings:
    """A service that needs nothing."""


class Database:
    """The service that most tests need."""


class Cache:
    """A second service."""


class Mailer:
    """A third service."""


class Engine:
    """A service that lives as long as the registry."""


class Session:
    """A service that lives for one request."""


class Missing:
    """A service that is never registered."""


class Repository:
    """A service that needs the database."""

    def __init__(self, database: Database) -> None:
        self.database = database


class Shop:
    """A service that needs a service that needs the database."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository


class Needy:
    """A service that needs a service that is never registered."""

    def __init__(self, missing: Missing) -> None:
        self.missing = missing


class NeedsNeedy:
    """A service that needs `Needy`."""

    def __init__(self, needy: Needy) -> None:
        self.needy = needy
