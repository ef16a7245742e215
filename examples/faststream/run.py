"""The application, for `faststream run`; it needs a NATS server."""

from examples.faststream.application import make_app

app = make_app("guests.db")
