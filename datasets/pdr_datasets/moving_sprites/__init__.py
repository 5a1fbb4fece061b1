"""Synthetic clips: textured sprites move, turn, bounce and hide one another."""
