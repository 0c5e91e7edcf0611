"""What was found out, on one page."""
