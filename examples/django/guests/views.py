"""The views: functions that ask for what they need."""

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse

from examples.django.guests.book import GuestBook
from wares import Inject, inject


@inject
def sign(request: HttpRequest, book: Inject[GuestBook]) -> HttpResponse:
    """Sign, and refuse a name of nothing but space: that rolls back."""
    name = str(request.GET.get("name", ""))
    book.sign(name)
    if not name.strip():
        raise BadRequest("Who are you?")
    return HttpResponse(f"Welcome, {name}!".encode())


@inject
async def read(_: HttpRequest, book: Inject[GuestBook]) -> HttpResponse:
    """Tell the names; views may be asynchronous."""
    return HttpResponse(", ".join(book.read()).encode())
