//! Curves of a training as a page that any browser opens, rewritten at each checkpoint.

use super::log::CurvePoint;
use super::validation::Validated;
use crate::estimate::chart::svg::{LEFT, MARGIN, RIGHT, Svg, tick_label, ticks};

/// Points of a curve at most: more cannot be seen.
const POINTS: usize = 800;
const HEIGHT: f64 = 190.0;
const GAP: f64 = 62.0;

/// A curve: its name, colour and points.
struct Curve {
    name: &'static str,
    colour: usize,
    points: Vec<(f64, f64)>,
}

/// The page. `note`: what is known of the run, for people.
pub(super) fn page(
    title: &str,
    note: &str,
    points: &[CurvePoint],
    validated: &[Validated],
) -> String {
    let text = title.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><meta http-equiv=\"refresh\" content=\"60\">\
         <title>{text}</title><style>body{{margin:1rem auto;max-width:62rem}}svg{{max-width:100%;height:auto}}\
         </style></head><body>\n{}</body></html>\n",
        picture(title, note, points, validated)
    )
}

fn picture(title: &str, note: &str, points: &[CurvePoint], validated: &[Validated]) -> String {
    let mut svg = Svg::new();
    svg.text("title", MARGIN, 26.0, title);
    svg.text("small", MARGIN, 45.0, note);
    let last = |step: Option<u64>| step.unwrap_or_default();
    let steps = last(points.last().map(|p| p.step)).max(last(validated.last().map(|v| v.step)));
    let curve = |name, colour, value: fn(&CurvePoint) -> f64| Curve {
        name,
        colour,
        points: thinned(points.iter().map(|p| (p.step, value(p))), POINTS),
    };
    let mut top = 80.0;
    let loss = [curve("loss", 0, |p| p.loss)];
    top = panel(
        &mut svg,
        "loss of a step (mean of the lines of training.csv)",
        &loss,
        steps,
        None,
        top,
    );
    let judged = [
        curve("precision", 1, |p| p.precision),
        curve("recall", 2, |p| p.recall),
        curve("F1", 3, |p| p.f1),
    ];
    top =
        panel(&mut svg, "voxels of examples, from probability 0.9", &judged, steps, Some(1.0), top);
    if !validated.is_empty() {
        let of = |name, colour, value: fn(&Validated) -> f64| Curve {
            name,
            colour,
            points: thinned(validated.iter().map(|v| (v.step, value(v))), POINTS),
        };
        let voi = [
            of("VOI split", 0, |v| v.voi_split),
            of("VOI merge", 1, |v| v.voi_merge),
            of("adapted Rand error", 2, |v| v.adapted_rand_error),
        ];
        top = panel(&mut svg, "validation: bits; lower is better", &voi, steps, None, top);
    }
    svg.finish(top)
}

/// One panel; returns where the next begins.
fn panel(
    svg: &mut Svg,
    title: &str,
    curves: &[Curve],
    steps: u64,
    most: Option<f64>,
    top: f64,
) -> f64 {
    let (first, last) = (top + 14.0, top + 14.0 + HEIGHT);
    let highest = curves.iter().flat_map(|c| &c.points).map(|p| p.1).fold(0.0, f64::max);
    let most = most.unwrap_or(highest * 1.05).max(1e-6);
    let steps = (steps as f64).max(1.0);
    svg.text("head", MARGIN, top, title);
    svg.rect("frame", LEFT, first, RIGHT - LEFT, HEIGHT);
    let y = |value: f64| last - (value / most).clamp(0.0, 1.0) * HEIGHT;
    let x = |step: f64| LEFT + step / steps * (RIGHT - LEFT);
    for tick in ticks(most) {
        svg.line("grid", (LEFT, y(tick)), (RIGHT, y(tick)));
        svg.text("tick end", LEFT - 6.0, y(tick) + 4.0, &tick_label(tick));
    }
    for tick in ticks(steps) {
        svg.text("tick middle", x(tick), last + 16.0, &tick_label(tick));
    }
    let mut label = RIGHT;
    for curve in curves.iter().rev() {
        let points: Vec<_> = curve.points.iter().map(|(s, v)| (x(*s), y(*v))).collect();
        if let Some(end) = points.last() {
            svg.path(&format!("l{}", curve.colour), &points, false);
            svg.rect(&format!("c{}", curve.colour), end.0 - 2.5, end.1 - 2.5, 5.0, 5.0);
        }
        label -= 26.0 + 6.2 * curve.name.len() as f64;
        svg.rect(&format!("c{}", curve.colour), label, top - 9.0, 10.0, 10.0);
        svg.text("small", label + 14.0, top, curve.name);
    }
    last + GAP
}

/// At most so many points of a curve, step and value, each the mean of some; what is not a number is left out.
pub fn thinned(points: impl Iterator<Item = (u64, f64)>, most: usize) -> Vec<(f64, f64)> {
    let points = points.map(|(step, value)| (step as f64, value));
    let points: Vec<_> = points.filter(|(_, value)| value.is_finite()).collect();
    let each = points.len().div_ceil(most.max(1)).max(1);
    let mean = |chunk: &[(f64, f64)]| {
        let sum = chunk.iter().fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
        (sum.0 / chunk.len() as f64, sum.1 / chunk.len() as f64)
    };
    points.chunks(each).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_curves_are_thinned_and_holes_left_out() {
        let many = (0..100_000).map(|i| (i, if i % 2 == 0 { f64::NAN } else { 2.0 }));
        let thin = thinned(many, POINTS);
        assert!(thin.len() <= POINTS && thin.len() > POINTS / 2);
        assert!(thin.iter().all(|p| p.1 == 2.0));
    }

    #[test]
    fn a_page_of_nothing_and_of_something_is_drawn() {
        let point =
            |step| CurvePoint { step, loss: 0.7, precision: 0.5, recall: f64::NAN, f1: 0.1 };
        for points in [vec![], vec![point(100)], (1..50).map(|i| point(i * 100)).collect()] {
            let page = page("a <b>", "note", &points, &[]);
            assert!(page.contains("a &lt;b&gt;") && page.ends_with("</html>\n"));
            assert!(!page.contains("NaN") && !page.contains("inf"));
        }
    }
}
