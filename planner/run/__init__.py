"""What exists, by name (`registry`), and a run that composes it (`run`)."""
