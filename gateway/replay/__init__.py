"""A recording through the alarm core: what it would have said, under one protocol or two."""
