"""The parts of `fastbox suspects`: the tables that it reads, and its first pass over them."""
