"""Your own videos: files and folders of frames, decoded and resized once, cut when read."""
