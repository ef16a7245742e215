"""Shared test code: small services, factories of every shape, threads with a deadline."""
