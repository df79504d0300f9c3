//! Hours against nodes, both logarithmic: parallel to the ideal is good.

use super::super::super::quantity::{duration, percent, plural};
use super::super::super::scaling::ScalingRow;
use super::super::svg::{LEFT, MARGIN, RIGHT, Svg};

const HEIGHT: f64 = 150.0;
/// Room at both ends for the labels of points.
const INSET: f64 = 60.0;

pub(in super::super) fn draw(svg: &mut Svg, rows: &[ScalingRow], top: f64) -> f64 {
    svg.text("head", MARGIN, top + 12.0, "The same work on more and fewer nodes");
    let note = "both axes logarithmic; dots: simulated, and how busy slots are; dashed: ideal";
    svg.text("small end", RIGHT, top + 12.0, note);
    let (above, below) = (top + 24.0, top + 24.0 + HEIGHT);
    svg.rect("frame", LEFT, above, RIGHT - LEFT, below - above);
    let times = rows.iter().flat_map(|row| [row.simulated_seconds, row.ideal_seconds]);
    let y = logarithmic(times, below - 22.0, above + 26.0);
    let x = logarithmic(rows.iter().map(|row| row.nodes as f64), LEFT + INSET, RIGHT - INSET);
    let points = |time: fn(&ScalingRow) -> f64| -> Vec<(f64, f64)> {
        rows.iter().map(|row| (x(row.nodes as f64), y(time(row)))).collect()
    };
    svg.path("ideal", &points(|row| row.ideal_seconds), false);
    svg.path("done", &points(|row| row.simulated_seconds), false);
    for (row, (x, y)) in rows.iter().zip(points(|row| row.simulated_seconds)) {
        svg.rect("dot", x - 3.0, y - 3.0, 6.0, 6.0);
        let label = format!("{}, {}", duration(row.simulated_seconds), percent(row.efficiency));
        svg.text("small middle", x, y - 9.0, &label);
        svg.text("tick middle", x, below + 15.0, &plural(row.nodes, "node"));
    }
    below + 32.0
}

/// From values to places between two ends.
fn logarithmic(values: impl Iterator<Item = f64>, low: f64, high: f64) -> impl Fn(f64) -> f64 {
    let logs = values.map(|value| value.max(1e-9).ln());
    let (least, most) = logs.fold((f64::MAX, f64::MIN), |(a, b), log| (a.min(log), b.max(log)));
    let span = (most - least).max(1e-9);
    move |value| low + (value.max(1e-9).ln() - least) / span * (high - low)
}
