//! A simulated run as a picture: the slots over the whole time, each stage by a clock of its own, the end
//! of the longest stage, and more or fewer nodes. SVG, written by hand.

use self::panels::{scaling, stages, tail, whole};
use self::svg::Svg;
use super::Estimate;
use super::quantity::{count, duration, percent};
use super::scaling::ScalingRow;

mod area;
mod panels;
pub(crate) mod svg;

/// Draws an estimate, and below it the same work on other numbers of nodes, if there are any.
pub fn chart(title: &str, estimate: &Estimate, scaling_rows: &[ScalingRow]) -> String {
    let mut svg = Svg::new();
    let totals = &estimate.totals;
    svg.text("title", svg::MARGIN, 26.0, title);
    let subtitle = format!(
        "{} simulated, {} if nothing waited or failed; slots busy {}; {} failures of nodes",
        duration(totals.simulated_seconds),
        duration(totals.ideal_seconds),
        percent(totals.efficiency),
        count(totals.failures)
    );
    svg.text("small", svg::MARGIN, 45.0, &subtitle);
    let mut top = whole::draw(&mut svg, estimate, 62.0);
    top = stages::draw(&mut svg, estimate, top);
    top = tail::draw(&mut svg, estimate, top);
    if scaling_rows.len() > 1 {
        top = scaling::draw(&mut svg, scaling_rows, top);
    }
    svg.finish(top)
}

/// The colour of each stage: stages of one kind (`downsample 1`, `downsample 2`) share theirs.
fn kinds(estimate: &Estimate) -> Vec<(&str, usize)> {
    let mut seen: Vec<&str> = Vec::new();
    let mut colours = Vec::new();
    for stage in &estimate.stages {
        let kind = stage.name.split(' ').next().unwrap_or_default();
        let known = seen.iter().position(|name| *name == kind);
        let colour = known.unwrap_or_else(|| {
            seen.push(kind);
            seen.len() - 1
        });
        colours.push((kind, colour % svg::COLOURS));
    }
    colours
}
