"""What is found where."""

from django.urls import path

from examples.django.guests.views import read, sign
from wares.django import health_view

urlpatterns = [
    path("sign", sign),
    path("read", read),
    path("healthy", health_view()),
]
