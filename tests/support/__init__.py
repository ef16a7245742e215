"""What the tests share: small services, factories of every shape, threads with a deadline."""
