"""One module a survey: reading its own file format, and simulating it in that same format."""
