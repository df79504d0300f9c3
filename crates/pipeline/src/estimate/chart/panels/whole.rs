//! All slots over the whole run.

use super::super::super::Estimate;
use super::super::super::quantity::{count, duration};
use super::super::area::Place;
use super::super::kinds;
use super::super::svg::{LEFT, MARGIN, RIGHT, Svg};
use super::axes;

const HEIGHT: f64 = 190.0;

pub(in super::super) fn draw(svg: &mut Svg, estimate: &Estimate, top: f64) -> f64 {
    svg.text("head", MARGIN, top + 12.0, "Slots over the whole run");
    let totals = &estimate.totals;
    let seconds = totals.simulated_seconds.max(totals.ideal_seconds).max(1e-9);
    let slots = (estimate.cluster.nodes * estimate.cluster.slots_per_node) as f64;
    let panel = Place {
        left: LEFT,
        width: RIGHT - LEFT,
        top: top + 40.0,
        bottom: top + 40.0 + HEIGHT,
        slots,
    };
    axes(svg, &panel, seconds);
    let x = |at: f64| LEFT + at / seconds * (RIGHT - LEFT);
    for (run, (_, colour)) in estimate.simulation.stages.iter().zip(kinds(estimate)) {
        let (left, right) = (x(run.begin_seconds), x(run.last_shard_seconds));
        let place = Place { left, width: (right - left).max(0.4), ..panel };
        place.draw(svg, colour, &run.profile, run.slots as f64);
        if x(run.end_seconds) - left > 2.0 {
            svg.line("grid", (left, panel.top), (left, panel.bottom));
        }
    }
    failures(svg, estimate, &panel, x);
    let ends = [("ideal", totals.ideal_seconds, 12.0), ("done", totals.simulated_seconds, 26.0)];
    for (class, at, above) in ends {
        let name = if class == "ideal" { "ideal end" } else { "simulated end" };
        svg.line(class, (x(at), panel.top - above), (x(at), panel.bottom));
        let label = format!("{name} {}", duration(at));
        let (anchor, x) =
            if x(at) > 220.0 { ("small end", x(at) - 4.0) } else { ("small", x(at) + 4.0) };
        svg.text(anchor, x, panel.top - above + 9.0, &label);
    }
    legend(svg, estimate, panel.bottom + 46.0)
}

/// Ticks below the axis, longer where more nodes failed within their width.
fn failures(svg: &mut Svg, estimate: &Estimate, panel: &Place, x: impl Fn(f64) -> f64) {
    const STEP: f64 = 2.0;
    let mut counts = vec![0_u32; (panel.width / STEP) as usize + 1];
    for at in &estimate.simulation.failure_seconds {
        let step = ((x(*at) - panel.left) / STEP) as usize;
        if let Some(count) = counts.get_mut(step) {
            *count += 1;
        }
    }
    let most = f64::from(counts.iter().copied().max().unwrap_or(0).max(1));
    let ticks = counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(step, count)| {
        let length = 4.0 + 5.0 * f64::from(*count) / most;
        (panel.left + (step as f64 + 0.5) * STEP, panel.bottom + 1.0, panel.bottom + 1.0 + length)
    });
    svg.vertical_lines("fault", ticks);
}

fn legend(svg: &mut Svg, estimate: &Estimate, y: f64) -> f64 {
    let mut entries: Vec<(String, String)> = Vec::new();
    for (kind, colour) in kinds(estimate) {
        if !entries.iter().any(|(_, name)| name == kind) {
            entries.push((format!("c{colour}"), kind.to_owned()));
        }
    }
    entries.push(("starting".to_owned(), "task starts".to_owned()));
    entries.push(("down".to_owned(), "node down".to_owned()));
    let ticks = format!("ticks below: {} failures of nodes", count(estimate.totals.failures));
    let mut x = LEFT;
    for (class, name) in &entries {
        svg.rect(class, x, y - 9.0, 10.0, 10.0);
        svg.text("small", x + 14.0, y, name);
        x += 30.0 + 6.2 * name.len() as f64;
    }
    svg.text("small end", RIGHT, y, &ticks);
    y + 22.0
}
