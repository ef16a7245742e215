"""A management command that asks for services."""

from django.core.management.base import BaseCommand, CommandError

from tests.adapters.serving import Session
from wares import Inject, inject
from wares.django import with_container


class Command(BaseCommand):
    """Works, and fails if it is told so."""

    def add_arguments(self, parser):
        parser.add_argument("--fail", action="store_true")

    @with_container
    @inject
    def handle(self, *args, session: Inject[Session], fail, **options):
        self.stdout.write(session.work())
        if fail:
            raise CommandError("failed")
