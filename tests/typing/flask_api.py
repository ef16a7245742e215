"""The types of wares.flask, as users' checkers see them."""

from typing import assert_type

from flask import Flask, g

import wares.flask
from wares import Container, Registry


class Database:
    """A service."""


class Shop(Flask):
    """A kind of application."""


shop = wares.flask.init_app(Shop("shop"), registry=Registry(), validate=False)
assert_type(shop, Shop)

assert_type(wares.flask.get_registry(shop), Registry)
assert_type(wares.flask.get_registry(), Registry)
assert_type(wares.flask.registry, Registry)
assert_type(wares.flask.container, Container)
assert_type(wares.flask.wares_from(), Container)
assert_type(wares.flask.wares_from(g), Container)
assert_type(wares.flask.wares_from().get(Database), Database)

wares.flask.register_factory(shop, Database, Database, lifetime="singleton", ping=print)
wares.flask.register_value(shop, Database, Database(), on_registry_close=lambda: None)
wares.flask.overwrite_factory(Database, Database, suppress_context_exit=True)
wares.flask.overwrite_value(Database, Database(), enter=False)
wares.flask.register_factory(
    shop, Database, Database, ping=print, ping_timeout=1, tags=["ready"]
)
wares.flask.register_value(
    shop, Database, Database(), ping=print, ping_timeout=1, tags=["live"]
)
wares.flask.overwrite_factory(Database, Database, lifetime="transient", tags=["ready"])
wares.flask.overwrite_value(Database, Database(), ping=print, ping_timeout=0.5)
wares.flask.teardown(None)
wares.flask.close_registry(shop)

wares.flask.register_factory(shop, Database, 5)  # type: ignore[arg-type]  # not callable
wares.flask.register_factory(shop, Database, Database, lifetime="ever")  # type: ignore[arg-type]  # no such lifetime
wares.flask.register_value(shop, Database, Database(), lifetime="scoped")  # type: ignore[call-arg]  # a value has none
wares.flask.overwrite_value(Database, Database(), tag="ready")  # type: ignore[call-arg]  # no such option
wares.flask.init_app(shop, validates=True)  # type: ignore[call-arg]  # no such option
