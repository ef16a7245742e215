"""The application, for `celery -A examples.celery.run worker`."""

from examples.celery.application import make_app

app = make_app("guests.db")
