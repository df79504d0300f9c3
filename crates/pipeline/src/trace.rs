//! The trace of a run ([`exavox_io::trace`]) for programs and for people.
//!
//! [`chrome_trace`] writes the JSON of Chrome's trace viewer, which Perfetto (<https://ui.perfetto.dev>)
//! opens; [`timeline`] draws a lane for each thread.

use std::fmt::Write;

use exavox_io::trace::{Activity, Span};
use serde_json::json;

/// Complete events ("X") of the trace event format, times in microseconds:
/// <https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>.
pub fn chrome_trace(spans: &[Span]) -> Vec<u8> {
    let events: Vec<serde_json::Value> = spans
        .iter()
        .map(|span| {
            let [z, y, x] = span.block_zyx;
            json!({
                "name": span.activity.name(),
                "cat": span.activity.name(),
                "ph": "X",
                "ts": span.begin_ns as f64 / 1e3,
                "dur": span.length_ns as f64 / 1e3,
                "pid": 1,
                "tid": span.thread,
                "args": {"block_zyx": format!("{z},{y},{x}")},
            })
        })
        .collect();
    json!({"traceEvents": events, "displayTimeUnit": "ms"}).to_string().into_bytes()
}

const WIDTH: f64 = 960.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 920.0;
const TOP: f64 = 58.0;
const LANE: f64 = 30.0;
/// Spans narrower than this many pixels are drawn as wide as this.
const NARROW: f64 = 0.4;

const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#222}.small{fill:#555;font-size:11px}\
.name{text-anchor:end}.tick{text-anchor:middle;fill:#666}.grid{stroke:#ddd}.lane{fill:#f4f4f4}\
.read{fill:#4c9f70}.decode{fill:#8cc7a1}.upload{fill:#8e6bbf}.compute{fill:#1b6ca8}\
.download{fill:#b79ad6}.write{fill:#d98b2b}";

/// A picture: time runs to the right, a lane for each thread; what a thread did within something else
/// (decoding within reading) is drawn as the lower half. Below, how long all threads together did what,
/// as a share of the whole time.
pub fn timeline(title: &str, spans: &[Span]) -> String {
    let begin = spans.iter().map(|s| s.begin_ns).min().unwrap_or(0);
    let end = spans.iter().map(|s| s.begin_ns + s.length_ns).max().unwrap_or(begin);
    let mut threads: Vec<u32> = spans.iter().map(|s| s.thread).collect();
    threads.sort_unstable();
    threads.dedup();
    let picture = Picture { begin, length: (end - begin).max(1), threads };
    let height = TOP + picture.threads.len() as f64 * LANE + 62.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\"><style>{STYLE}</style>\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    put_text(&mut svg, "", 16.0, 24.0, &title);
    picture.draw_lanes(&mut svg);
    // What happens within something else comes on top of it.
    for within in [false, true] {
        for span in spans.iter().filter(|s| is_within(s.activity) == within) {
            picture.draw(&mut svg, span);
        }
    }
    picture.draw_legend(&mut svg, spans, height);
    svg.push_str("</svg>\n");
    svg
}

/// Whether a thread does this while it does something else: decoding is a part of reading.
fn is_within(activity: Activity) -> bool {
    activity == Activity::Decode
}

struct Picture {
    begin: u64,
    length: u64,
    threads: Vec<u32>,
}

impl Picture {
    fn x(&self, nanoseconds: u64) -> f64 {
        LEFT + (nanoseconds - self.begin) as f64 / self.length as f64 * (RIGHT - LEFT)
    }

    fn bottom(&self) -> f64 {
        TOP + self.threads.len() as f64 * LANE
    }

    fn draw_lanes(&self, svg: &mut String) {
        for (lane, _) in self.threads.iter().enumerate() {
            let y = TOP + lane as f64 * LANE;
            // Writing into a `String` cannot fail.
            let _ = writeln!(
                svg,
                "<rect class=\"lane\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                y + 2.0,
                RIGHT - LEFT,
                LANE - 4.0
            );
            put_text(svg, "name", LEFT - 8.0, y + 19.0, &format!("thread {}", lane + 1));
        }
        for tenth in (0..=10).step_by(2) {
            let at = self.begin + self.length / 10 * tenth;
            let (x, label) = (self.x(at), format!("{:.1} ms", (at - self.begin) as f64 / 1e6));
            put_text(svg, "tick", x, TOP - 10.0, &label);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\"/>",
                TOP - 4.0,
                self.bottom()
            );
        }
    }

    fn draw(&self, svg: &mut String, span: &Span) {
        let Ok(lane) = self.threads.binary_search(&span.thread) else { return };
        let (from, to) = (self.x(span.begin_ns), self.x(span.begin_ns + span.length_ns));
        let within = is_within(span.activity);
        let (offset, height) =
            if within { (LANE / 2.0, LANE / 2.0 - 2.0) } else { (2.0, LANE - 4.0) };
        let _ = writeln!(
            svg,
            "<rect class=\"{}\" x=\"{from:.2}\" y=\"{:.1}\" width=\"{:.2}\" height=\"{height:.1}\"/>",
            span.activity.name(),
            TOP + lane as f64 * LANE + offset,
            (to - from).max(NARROW)
        );
    }

    /// How long all threads together did what.
    fn draw_legend(&self, svg: &mut String, spans: &[Span], height: f64) {
        let mut x = 16.0;
        let whole = self.length as f64;
        for activity in Activity::ALL {
            let own = spans.iter().filter(|span| span.activity == activity);
            let total: u64 = own.map(|span| span.length_ns).sum();
            if total == 0 {
                continue;
            }
            let name = activity.name();
            let label = format!(
                "{name} {:.1} ms ({:.0}%)",
                total as f64 / 1e6,
                total as f64 / whole * 100.0
            );
            let _ = writeln!(
                svg,
                "<rect class=\"{name}\" x=\"{x}\" y=\"{:.1}\" width=\"10\" height=\"10\"/>",
                height - 45.0
            );
            put_text(svg, "small", x + 15.0, height - 36.0, &label);
            x += 34.0 + 6.6 * label.len() as f64;
        }
        let note = format!(
            "whole run {:.1} ms on {} threads; shares are of the whole run, all threads together",
            whole / 1e6,
            self.threads.len()
        );
        put_text(svg, "small", 16.0, height - 14.0, &note);
    }
}

fn put_text(svg: &mut String, class: &str, x: f64, y: f64, text: &str) {
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn spans() -> Vec<Span> {
        let span = |activity, thread, begin_ns, length_ns| Span {
            activity,
            block_zyx: [0, 64, 128],
            thread,
            begin_ns,
            length_ns,
        };
        vec![
            span(Activity::Read, 3, 1_000_000, 2_000_000),
            span(Activity::Compute, 3, 3_000_000, 1_000_000),
            span(Activity::Write, 7, 2_000_000, 3_000_000),
        ]
    }

    #[test]
    fn events_have_microseconds_threads_and_blocks() {
        let trace: serde_json::Value = serde_json::from_slice(&chrome_trace(&spans())).unwrap();
        let event = &trace["traceEvents"][1];
        assert_eq!((&event["name"], &event["ph"]), (&"compute".into(), &"X".into()));
        assert_eq!((event["ts"].as_f64(), event["dur"].as_f64()), (Some(3000.0), Some(1000.0)));
        assert_eq!((&event["tid"], &event["args"]["block_zyx"]), (&3.into(), &"0,64,128".into()));
    }

    #[test]
    fn the_timeline_has_a_lane_for_each_thread_and_the_shares() {
        let svg = timeline("a < b", &spans());
        assert!(svg.contains("thread 2") && !svg.contains("thread 3") && svg.contains("a &lt; b"));
        assert!(svg.contains("read 2.0 ms (50%)") && svg.contains("write 3.0 ms (75%)"), "{svg}");
        assert!(timeline("nothing", &[]).contains("</svg>"));
    }
}
