"""What the benchmarks share: data, servers, load and results."""
