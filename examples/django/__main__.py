"""The command line of the project, which other projects call `manage.py`."""

import os

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "examples.django.settings")
execute_from_command_line()
