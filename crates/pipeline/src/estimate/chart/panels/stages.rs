//! Each stage by a clock of its own: short ones are seen as well as long ones.

use super::super::super::quantity::duration;
use super::super::super::{Estimate, StageEstimate, StageRun};
use super::super::area::Place;
use super::super::kinds;
use super::super::svg::{LEFT, MARGIN, RIGHT, Svg};

/// Stages beside each other.
const PER_ROW: usize = 9;
const GAP: f64 = 10.0;
const HEIGHT: f64 = 56.0;
const ROW: f64 = HEIGHT + 56.0;

pub(in super::super) fn draw(svg: &mut Svg, estimate: &Estimate, top: f64) -> f64 {
    svg.text("head", MARGIN, top + 12.0, "Each stage by a clock of its own");
    let note = "from its submission to the end of its gate; height: the slots that work on it; dashed: ideal end";
    svg.text("small end", RIGHT, top + 12.0, note);
    let stages: Vec<_> =
        estimate.stages.iter().zip(&estimate.simulation.stages).zip(kinds(estimate)).collect();
    let columns = stages.len().clamp(4, PER_ROW);
    let step = (RIGHT - LEFT + GAP) / columns as f64;
    for (number, ((figures, run), (_, colour))) in stages.iter().enumerate() {
        let left = LEFT + (number % columns) as f64 * step;
        let top = top + 22.0 + (number / columns) as f64 * ROW;
        let place =
            Place { left, width: step - GAP, top, bottom: top + HEIGHT, slots: run.slots as f64 };
        draw_stage(svg, &place, figures, run, *colour);
    }
    top + 22.0 + stages.len().div_ceil(columns) as f64 * ROW
}

fn draw_stage(
    svg: &mut Svg,
    place: &Place,
    figures: &StageEstimate,
    run: &StageRun,
    colour: usize,
) {
    let Place { left, width, top, bottom, .. } = *place;
    svg.rect("frame", left, top, width, bottom - top);
    let seconds = figures.simulated_seconds.max(figures.ideal_seconds).max(1e-9);
    let x = |at: f64| left + at / seconds * width;
    let end = x(run.last_shard_seconds - run.begin_seconds);
    Place { width: (end - left).max(0.4), ..*place }.draw(
        svg,
        colour,
        &run.profile,
        run.slots as f64,
    );
    svg.line("ideal", (x(figures.ideal_seconds), top - 3.0), (x(figures.ideal_seconds), bottom));
    svg.text("name", left, bottom + 14.0, &figures.name);
    svg.text("small", left, bottom + 27.0, &duration(figures.simulated_seconds));
    let ideal = format!("ideal {}", duration(figures.ideal_seconds));
    svg.text("small", left, bottom + 40.0, &ideal);
}
