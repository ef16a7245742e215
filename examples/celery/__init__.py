"""A guest book on Celery; `celery -A examples.celery.run worker` serves it."""
