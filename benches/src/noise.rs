//! Volumes to measure on: noise, smooth or not, made without a library and the same everywhere.

/// Random values, `[z, y, x]` with the same edge on each axis.
pub fn random(edge: usize) -> Vec<u8> {
    (0..edge.pow(3) as u64).map(|i| (mixed(i) >> 56) as u8).collect()
}

/// Random values blurred three times by a box of 5 voxels along each axis, spread over 0 to 255: blobs
/// and tunnels of some 10 voxels.
pub fn smooth(edge: usize) -> Vec<u8> {
    let mut values: Vec<f32> = random(edge).into_iter().map(f32::from).collect();
    for _ in 0..3 {
        for step in [1, edge, edge * edge] {
            values = blurred(&values, edge, step);
        }
    }
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    values.iter().map(|v| ((v - low) / (high - low) * 255.0) as u8).collect()
}

/// The value that a share of all values is below.
pub fn quantile(values: &[u8], share: f64) -> u8 {
    let mut counts = [0_usize; 256];
    values.iter().for_each(|v| counts[usize::from(*v)] += 1);
    let mut left = (values.len() as f64 * share) as usize;
    let found = counts.iter().position(|count| {
        let here = *count > left;
        left = left.saturating_sub(*count);
        here
    });
    found.map_or(255, |value| value as u8)
}

/// The mean of 5 voxels along the axis whose neighbours lie `step` apart; the volume goes on periodically.
fn blurred(values: &[f32], edge: usize, step: usize) -> Vec<f32> {
    let mean = |i: usize| {
        let place = i / step % edge;
        let at = |shift: usize| values[i - place * step + (place + edge + shift - 2) % edge * step];
        (0..5).map(at).sum::<f32>() / 5.0
    };
    (0..values.len()).map(mean).collect()
}

/// A 64-bit number that looks random (splitmix64).
fn mixed(value: u64) -> u64 {
    let a = value.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let b = (a ^ a >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let c = (b ^ b >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    c ^ c >> 31
}
