"""What every reader of videos raises for a file that cannot be used."""


class BrokenVideoError(OSError):
    """A video is damaged, cut off or of an unknown kind; the message goes on after its name."""
