"""A guest book on Django; `python -m examples.django runserver` serves it."""
