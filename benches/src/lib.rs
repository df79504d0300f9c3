//! Benchmarks only: see `benches/`.

pub mod noise;
