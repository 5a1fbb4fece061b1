"""Runs: trained here, or imported; and the folders that they leave."""
