"""The core: registering, making, sharing and cleaning up services. It imports no framework."""
