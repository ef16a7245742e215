"""What needs what, checked and drawn."""
