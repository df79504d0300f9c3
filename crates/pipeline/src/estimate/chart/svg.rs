//! Rectangles, lines, areas and text.

use std::fmt::Write;

pub(crate) const WIDTH: f64 = 960.0;
pub(crate) const MARGIN: f64 = 16.0;
/// Where panels begin and end.
pub(crate) const LEFT: f64 = 76.0;
pub(crate) const RIGHT: f64 = 936.0;
/// Colours of stages: `c0`, `c1`, ...
pub(crate) const COLOURS: usize = 6;

const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#222}.title{font-size:15px;font-weight:600}\
.name{font-size:11px}.head{font-size:12.5px;font-weight:600}.small{font-size:11px;fill:#555}\
.end{text-anchor:end}.middle{text-anchor:middle}.tick{fill:#666;font-size:11px}\
.frame{fill:#fafafa;stroke:#ccc}.grid{stroke:#e4e4e4}\
.ideal{stroke:#222;stroke-width:1.3;stroke-dasharray:5 3;fill:none}\
.done{stroke:#222;stroke-width:1.6;fill:none}.fault{stroke:#c2185b;stroke-width:1.4}\
.c0{fill:#1b6ca8}.c1{fill:#d98b2b}.c2{fill:#8e6bbf}.c3{fill:#4c9f70}.c4{fill:#5bb5c5}.c5{fill:#8a7a5c}\
.l0,.l1,.l2,.l3{fill:none;stroke-width:1.6}.l0{stroke:#1b6ca8}.l1{stroke:#d98b2b}\
.l2{stroke:#8e6bbf}.l3{stroke:#4c9f70}\
.starting{fill:#b9c2c9}.down{fill:#c2185b}.dot{fill:#1b6ca8}";

pub(crate) struct Svg {
    body: String,
}

// Writing into a `String` cannot fail.
impl Svg {
    pub(crate) fn new() -> Self {
        Self { body: String::new() }
    }

    pub(crate) fn text(&mut self, class: &str, x: f64, y: f64, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let _ =
            writeln!(self.body, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
    }

    pub(crate) fn rect(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64) {
        let _ = writeln!(
            self.body,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
        );
    }

    pub(crate) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let _ = writeln!(
            self.body,
            "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            from.0, from.1, to.0, to.1
        );
    }

    /// Straight lines from point to point.
    pub(crate) fn path(&mut self, class: &str, points: &[(f64, f64)], closed: bool) {
        let mut path = String::new();
        for (number, (x, y)) in points.iter().enumerate() {
            let _ = write!(path, "{}{x:.1} {y:.1}", if number == 0 { 'M' } else { 'L' });
        }
        let end = if closed { "Z" } else { "" };
        let _ = writeln!(self.body, "<path class=\"{class}\" d=\"{path}{end}\"/>");
    }

    /// Many lines from above to below as one path: x, and both ends. Draws nothing if there are none.
    pub(crate) fn vertical_lines(
        &mut self,
        class: &str,
        lines: impl Iterator<Item = (f64, f64, f64)>,
    ) {
        let mut path = String::new();
        for (x, from, to) in lines {
            let _ = write!(path, "M{x:.1} {from:.1}V{to:.1}");
        }
        if !path.is_empty() {
            let _ = writeln!(self.body, "<path class=\"{class}\" d=\"{path}\"/>");
        }
    }

    /// The picture, so high that everything down to `bottom` is in it.
    pub(crate) fn finish(self, bottom: f64) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {bottom:.0}\" \
             width=\"{WIDTH}\" height=\"{bottom:.0}\"><style>{STYLE}</style>\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{}</svg>\n",
            self.body
        )
    }
}

/// Round numbers from 0 to `most`, about six.
pub(crate) fn ticks(most: f64) -> Vec<f64> {
    if most.is_nan() || most <= 0.0 || most.is_infinite() {
        return vec![0.0];
    }
    let rough = most / 6.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|f| f * power).into_iter().find(|s| *s >= rough);
    let step = step.unwrap_or(most);
    (0..=(most / step + 1e-9) as u32).map(|n| f64::from(n) * step).collect()
}

/// A tick's number, without digits that say nothing.
pub(crate) fn tick_label(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_do_not_leave_the_panel() {
        assert_eq!(ticks(8000.0), [0.0, 2000.0, 4000.0, 6000.0, 8000.0]);
        assert_eq!(ticks(5.9).len(), 6);
        assert_eq!(ticks(f64::NAN), [0.0]);
        assert_eq!([tick_label(2000.0), tick_label(0.5), tick_label(0.0)], ["2000", "0.5", "0"]);
    }
}
