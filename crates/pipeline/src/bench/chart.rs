//! The table as a picture: a bar for each row on a logarithmic scale of voxels a second, with a line
//! where the machine's limit is. SVG, written by hand: there are only rectangles, lines and text.

use std::fmt::Write;

use super::outcome::{OVERLAPPED, Verdict};
use super::table::{Row, Section, Table};

const WIDTH: f64 = 900.0;
/// Where bars begin, and where they end at the top of the scale.
const LEFT: f64 = 215.0;
const RIGHT: f64 = 800.0;
const ROW: f64 = 22.0;
const HEAD: f64 = 62.0;
const FOOT: f64 = 34.0;

const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#222}.title{font-size:15px;font-weight:600}.about{fill:#555}\
.small{font-size:10.5px;fill:#555;paint-order:stroke;stroke:#fff;stroke-width:3px}.name{text-anchor:end}.tick{text-anchor:middle;fill:#666}\
.grid{stroke:#ddd}.limit{stroke:#b00020;stroke-width:1.5}.one{stroke-dasharray:4 3}\
.ours{fill:#1b6ca8}.base{fill:#9aa7b1}.peer{fill:#d98b2b}.read{fill:#c9d6c3}.limits{fill:#b00020}";

/// The chart of all sections, one below the other.
pub fn chart(table: &Table) -> String {
    let heights = table.sections.iter().map(height);
    let total = heights.sum::<f64>() + FOOT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {total}\" \
         width=\"{WIDTH}\" height=\"{total}\"><style>{STYLE}</style>\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    let mut top = 0.0;
    for section in &table.sections {
        draw_section(&mut svg, section, top);
        top += height(section);
    }
    legend(&mut svg, total - 14.0);
    svg.push_str("</svg>\n");
    svg
}

fn height(section: &Section) -> f64 {
    HEAD + section.rows.len() as f64 * ROW + 26.0
}

/// Voxels a second at both ends of the bars: whole powers of ten around all values.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(section: &Section) -> Self {
        let rates = section.rows.iter().filter_map(|row| row.voxels_per_second);
        let limits = section.limit_voxels_per_second;
        let logs = rates.chain(limits).filter(|v| v.is_finite() && *v > 0.0).map(f64::log10);
        let (low, high) =
            logs.fold((f64::MAX, f64::MIN), |(low, high), log| (low.min(log), high.max(log)));
        if low > high {
            return Self { low: 6.0, high: 9.0 };
        }
        let low = (low - 0.2).floor();
        Self { low, high: high.ceil().max(low + 1.0) }
    }

    fn x(&self, rate: f64) -> f64 {
        let share = (rate.log10() - self.low) / (self.high - self.low);
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }
}

fn draw_section(svg: &mut String, section: &Section, top: f64) {
    let scale = Scale::of(section);
    let [z, y, x] = section.shape_zyx;
    text(svg, "title", 16.0, top + 24.0, &format!("{} {}", section.group, section.case));
    // On a line of its own, so that it fits into the picture.
    text(svg, "about", 16.0, top + 42.0, &format!("{}, {z} × {y} × {x}", section.about));
    let (first, last) = (top + HEAD - 8.0, top + HEAD + section.rows.len() as f64 * ROW);
    for power in scale.low as i32..=scale.high as i32 {
        let at = scale.x(10_f64.powi(power));
        line(svg, "grid", at, first, last);
        text(svg, "tick", at, last + 15.0, &rate_label(10_f64.powi(power)));
    }
    for (limit, class) in section.limit_voxels_per_second.into_iter().zip(["limit one", "limit"]) {
        line(svg, class, scale.x(limit), first, last);
    }
    for (number, row) in section.rows.iter().enumerate() {
        draw_row(svg, row, &scale, top + HEAD + number as f64 * ROW);
    }
}

fn draw_row(svg: &mut String, row: &Row, scale: &Scale, top: f64) {
    let baseline = top + ROW * 0.64;
    let threads = match row.outcome.threads {
        Some(1) => ", 1 thread".to_owned(),
        Some(n) => format!(", {n} threads"),
        None => String::new(),
    };
    text(svg, "name", LEFT - 8.0, baseline, &format!("{}{threads}", row.outcome.name()));
    match (&row.outcome.verdict, row.voxels_per_second) {
        (Verdict::Measured(_), Some(rate)) => {
            let (end, class) = (scale.x(rate), class(row));
            let (width, height) = ((end - LEFT).max(1.0), ROW - 6.0);
            let y = top + 3.0;
            // Writing into a `String` cannot fail.
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\"/>"
            );
            let ratio = row.ratio_to_scalar.map_or(String::new(), |r| format!(" · {}×", short(r)));
            text(svg, "small", end + 5.0, baseline, &format!("{}{ratio}", rate_label(rate)));
        }
        (Verdict::Refused { reason }, _) => text(svg, "small", LEFT + 5.0, baseline, &cut(reason)),
        _ => {}
    }
}

fn class(row: &Row) -> &'static str {
    match row.outcome.implementation.as_str() {
        "scalar" | "ndarray" | "burn flex" => "base",
        "pure read" => "read",
        "cpu" | "cpu fast" | "cpu avx2" | "cpu portable" | "cpu-jit" | "wgpu" | "cuda"
        | OVERLAPPED => "ours",
        _ => "peer",
    }
}

fn legend(svg: &mut String, y: f64) {
    let entries = [
        ("ours", "exavox"),
        ("base", "naive loop, ndarray, burn"),
        ("peer", "other programs"),
        ("limits", "limit (dashed: 1 thread)"),
    ];
    let mut x = 16.0;
    for (class, label) in entries {
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{}\" width=\"10\" height=\"10\"/>",
            y - 9.0
        );
        text(svg, "small", x + 15.0, y, label);
        x += 45.0 + 6.0 * label.len() as f64;
    }
    text(svg, "small name", WIDTH - 16.0, y, "voxels a second, logarithmic · × the naive loop");
}

fn line(svg: &mut String, class: &str, x: f64, from: f64, to: f64) {
    let _ = writeln!(
        svg,
        "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{from:.1}\" y2=\"{to:.1}\"/>"
    );
}

fn text(svg: &mut String, class: &str, x: f64, y: f64, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
}

/// `3.2 G/s`.
fn rate_label(rate: f64) -> String {
    let (value, unit) = match rate {
        r if r >= 1e9 => (r / 1e9, "G/s"),
        r if r >= 1e6 => (r / 1e6, "M/s"),
        r if r >= 1e3 => (r / 1e3, "k/s"),
        r => (r, "/s"),
    };
    format!("{} {unit}", short(value))
}

fn short(value: f64) -> String {
    match value {
        v if v >= 100.0 || v.fract() == 0.0 => format!("{v:.0}"),
        v => format!("{v:.1}"),
    }
}

/// A reason, so long that it stays inside of the picture.
fn cut(reason: &str) -> String {
    const MOST: usize = 105;
    if reason.chars().count() <= MOST {
        return reason.to_owned();
    }
    reason.chars().take(MOST).chain("...".chars()).collect()
}
