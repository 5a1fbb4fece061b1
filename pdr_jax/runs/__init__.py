"""Runs, trained here or imported, and their folders."""
