"""The core: how services are registered, made, shared and cleaned up. It imports no framework."""
