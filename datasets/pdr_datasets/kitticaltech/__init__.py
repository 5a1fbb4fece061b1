"""KittiCaltech: drives through Karlsruhe for training, and through Los Angeles for testing."""
