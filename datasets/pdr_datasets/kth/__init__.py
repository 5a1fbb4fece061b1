"""KTH human actions: people walk, jog, run, box, wave and clap."""
