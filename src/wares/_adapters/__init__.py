"""The code that several adapters share."""
