"""The settings of the project."""

SECRET_KEY = "for an example only"  # noqa: S105  # it protects nothing
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "examples.django.guests"
INSTALLED_APPS = ["wares.django"]
MIDDLEWARE = ["wares.django.WaresMiddleware"]
WARES = {"register": "examples.django.guests.register"}
