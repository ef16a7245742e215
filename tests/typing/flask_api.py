"""The types of wares.flask, as users' checkers see them."""

from typing import assert_type

from flask import Flask, g

import wares.flask
from wares import Container, Registry


class Database:
    """A service."""


class Shop(Flask):
    """A kind of application."""


shop = wares.flask.init_app(Shop("shop"), registry=Registry())
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
wares.flask.teardown(None)
wares.flask.close_registry(shop)

wares.flask.register_factory(shop, Database, 5)  # type: ignore[arg-type]  # not callable
wares.flask.register_factory(shop, Database, Database, lifetime="ever")  # type: ignore[arg-type]  # no such lifetime
