"""Small classes that serve as keys and as services.

They live at module level so that an error message can name them as a user would write them.
"""


class Settings:
    """Something that needs nothing."""


class Database:
    """Something that most tests need."""


class Cache:
    """Something beside the database."""


class Mailer:
    """Something beside the cache."""


class Engine:
    """What lives long."""


class Session:
    """What lives for one request."""


class Missing:
    """What nobody registers."""


class Repository:
    """One step away from the database."""

    def __init__(self, database: Database) -> None:
        self.database = database


class Shop:
    """Two steps away from the database."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository


class Needy:
    """One step away from what nobody registers."""

    def __init__(self, missing: Missing) -> None:
        self.missing = missing


class NeedsNeedy:
    """Two steps away from what nobody registers."""

    def __init__(self, needy: Needy) -> None:
        self.needy = needy
