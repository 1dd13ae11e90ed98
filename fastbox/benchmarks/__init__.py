"""Work that fastbox and its peers share, and its measurement, for `fastbox bench` and the benchmarks of the project."""
