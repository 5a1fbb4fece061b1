"""What the backbones are built of; each part exists once. Arrays are channels-last."""
