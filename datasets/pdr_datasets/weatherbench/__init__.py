"""WeatherBench: the state of the atmosphere on a coarse grid of the whole Earth."""
