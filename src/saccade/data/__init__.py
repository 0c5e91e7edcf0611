"""From files to pixels and targets."""
