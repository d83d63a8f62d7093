"""The command line: trained networks applied to a user's own files."""
