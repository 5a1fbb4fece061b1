"""KTH human actions: windows of walking, jogging, running, boxing, hand waving and clapping."""
