"""Rain seen by weather radars; see README.md."""
