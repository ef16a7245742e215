"""A guest book on FastStream; `faststream run examples.faststream.run:app` serves it."""
