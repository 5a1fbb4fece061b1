"""Textured sprites that move, turn, bounce and hide one another; made here, no download."""
