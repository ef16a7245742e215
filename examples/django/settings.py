"""The settings of the project: what wares needs, and little else."""

import os

SECRET_KEY = "for an example only"  # noqa: S105  # it guards nothing
DEBUG = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "examples.django.urls"
INSTALLED_APPS = ["wares.django", "examples.django.guests"]
MIDDLEWARE = ["wares.django.WaresMiddleware"]
GUESTS_PATH = os.environ.get("GUESTS_PATH", "guests.db")
USE_TZ = True
