//! The end of the longest stage: what stragglers and unlike blocks leave idle.

use super::super::super::Estimate;
use super::super::super::quantity::duration;
use super::super::area::Place;
use super::super::kinds;
use super::super::svg::{LEFT, MARGIN, RIGHT, Svg};
use super::axes;

const HEIGHT: f64 = 110.0;

pub(in super::super) fn draw(svg: &mut Svg, estimate: &Estimate, top: f64) -> f64 {
    let stages = estimate.stages.iter().zip(&estimate.simulation.stages).zip(kinds(estimate));
    let longest = stages
        .max_by(|((a, _), _), ((b, _), _)| a.simulated_seconds.total_cmp(&b.simulated_seconds));
    let Some(((figures, run), (_, colour))) = longest else { return top };
    let seconds = run.tail.seconds();
    if seconds <= 0.0 {
        return top;
    }
    svg.text("head", MARGIN, top + 12.0, &format!("The end of {}", figures.name));
    let note = format!(
        "{} from the moment when its last shard was handed out until all were done; it took {} in all",
        duration(seconds),
        duration(figures.simulated_seconds)
    );
    svg.text("small end", RIGHT, top + 12.0, &note);
    let place = Place {
        left: LEFT,
        width: RIGHT - LEFT,
        top: top + 24.0,
        bottom: top + 24.0 + HEIGHT,
        slots: run.slots as f64,
    };
    axes(svg, &place, seconds);
    place.draw(svg, colour, &run.tail, run.slots as f64);
    place.bottom + 44.0
}
