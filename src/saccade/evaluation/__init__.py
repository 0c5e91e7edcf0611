"""How good, and how sure."""
