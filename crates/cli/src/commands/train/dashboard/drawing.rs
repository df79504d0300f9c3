//! The picture of a state. It needs no colours.

use std::time::{Duration, Instant};

use exavox_pipeline::train::{CurvePoint, Validated, thinned};
use indicatif::{HumanCount, HumanDuration};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, LineGauge, Paragraph, Row, Table};

use super::state::{Stage, State, Training};
use crate::progress::amount;

/// Validations and warnings that are shown, the last ones.
const VALIDATIONS: usize = 4;
const WARNINGS: usize = 2;
/// Points of a curve at most, each the mean of some: a terminal has no more columns.
const POINTS: usize = 600;

/// Draws a state as it is now.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, now: Instant) {
    let validated = state.training.as_ref().map_or(&[][..], |t| &t.validated);
    let warnings = last(state.warnings(), WARNINGS);
    let height = |lines: usize, around: u16| if lines == 0 { 0 } else { lines as u16 + around };
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Min(0),
        Constraint::Length(height(validated.len().min(VALIDATIONS), 3)),
        Constraint::Length(height(warnings.len(), 2)),
        Constraint::Length(1),
    ]);
    let [title, bar, figures, curves, validations, warned, foot] = rows.areas(frame.area());
    let bold = Style::new().add_modifier(Modifier::BOLD);
    frame.render_widget(Line::styled(heading(state), bold), title);
    if let Some(stage) = &state.stage {
        gauge(frame, bar, stage, now);
    }
    if let Some(training) = &state.training {
        frame.render_widget(Paragraph::new(lines(training)), figures);
        charts(frame, curves, &training.curve);
    }
    if !validated.is_empty() {
        table(frame, validations, validated);
    }
    if !warnings.is_empty() {
        let texts: Vec<Line<'_>> = warnings.iter().map(|text| Line::raw(text.as_str())).collect();
        frame.render_widget(
            Paragraph::new(texts).block(Block::bordered().title("warnings")),
            warned,
        );
    }
    frame.render_widget(Line::raw("Ctrl-C ends it after a checkpoint"), foot);
}

fn heading(state: &State) -> String {
    let device = state.training.as_ref().map(|t| format!(" on {}", t.device)).unwrap_or_default();
    format!("exavox train: {}{device}", state.title)
}

fn gauge(frame: &mut Frame<'_>, area: Rect, stage: &Stage, now: Instant) {
    let share = (stage.done as f64 / stage.total.max(1) as f64).clamp(0.0, 1.0);
    let (done, total) = (HumanCount(stage.done), amount(stage.total, stage.unit));
    let left = stage.left(now).map(|left| format!(", {} left", HumanDuration(left)));
    let left = left.unwrap_or_default();
    let percent = 100.0 * share;
    let label = format!("{}: {percent:.0} %, {done} of {total}{left} ", stage.name);
    let gauge = LineGauge::default().filled_symbol("█").unfilled_symbol("░");
    frame.render_widget(gauge.ratio(share).label(label), area);
}

/// What there is to count.
fn lines(training: &Training) -> Vec<Line<'_>> {
    let Training { step, fovs, seconds, fovs_per_second, bad_steps, .. } = training;
    let time = HumanDuration(Duration::from_secs_f64(seconds.clamp(0.0, 1e9)));
    let (step, count) = (HumanCount(*step), HumanCount(*fovs));
    let mut first = format!("step {step}, {count} FOVs, {fovs_per_second:.1} FOVs/s, {time}");
    if *bad_steps > 0 {
        first.push_str(&format!(", {bad_steps} bad steps"));
    }
    let mut second = String::new();
    if let Some(voxels) = training.labelled_voxels {
        let each = *fovs as f64 / voxels.max(1) as f64;
        second = format!("{} labelled voxels, {each:.3} FOVs for each", HumanCount(voxels));
    }
    if let Some(CurvePoint { loss, f1, .. }) = training.curve.last() {
        let apart = if second.is_empty() { "" } else { ", " };
        second.push_str(&format!("{apart}loss {loss:.4}"));
        if f1.is_finite() {
            second.push_str(&format!(", F1 {f1:.3}"));
        }
    }
    vec![Line::raw(first), Line::raw(second)]
}

fn charts(frame: &mut Frame<'_>, area: Rect, curve: &[CurvePoint]) {
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
    let of =
        |value: fn(&CurvePoint) -> f64| thinned(curve.iter().map(|p| (p.step, value(p))), POINTS);
    let loss = of(|p| p.loss);
    let most = loss.iter().map(|p| p.1).fold(0.0, f64::max) * 1.05;
    chart(frame, left, "loss", &loss, most);
    chart(frame, right, "F1", &of(|p| p.f1), 1.0);
}

fn chart(frame: &mut Frame<'_>, area: Rect, name: &str, points: &[(f64, f64)], most: f64) {
    let most = if most > 0.0 { most } else { 1.0 };
    let last = points.last().map_or(1.0, |point| point.0).max(1.0);
    let data = Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line).data(points);
    let steps = ["0".to_owned(), HumanCount(last as u64).to_string()];
    let values = ["0".to_owned(), format!("{:.2}", most / 2.0), format!("{most:.2}")];
    let chart = Chart::new(vec![data])
        .block(Block::bordered().title(name.to_owned()))
        .x_axis(Axis::default().bounds([0.0, last]).labels(steps))
        .y_axis(Axis::default().bounds([0.0, most]).labels(values));
    frame.render_widget(chart, area);
}

fn table(frame: &mut Frame<'_>, area: Rect, validated: &[Validated]) {
    let best = validated.iter().map(|v| v.voi).fold(f64::INFINITY, f64::min);
    let row = |v: &Validated| {
        let step = format!("{}{}", HumanCount(v.step), if v.voi == best { " (best)" } else { "" });
        let bits = [v.voi, v.voi_split, v.voi_merge, v.adapted_rand_error];
        let cells = bits.map(|value| format!("{value:.3}"));
        let segments = HumanCount(v.segments as u64).to_string();
        Row::new([step].into_iter().chain(cells).chain([segments]))
    };
    let rows = last(validated, VALIDATIONS).iter().map(row);
    let names = ["step", "VOI", "split", "merge", "ARE", "segments"];
    let table = Table::new(rows, [Constraint::Fill(1); 6])
        .header(Row::new(names))
        .block(Block::bordered().title("validation"));
    frame.render_widget(table, area);
}

fn last<T>(all: &[T], most: usize) -> &[T] {
    &all[all.len().saturating_sub(most)..]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use exavox_pipeline::train::TrainView;
    use exavox_pipeline::{Event, Unit};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn drawn(state: &State, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state, Instant::now())).unwrap();
        terminal.backend().to_string()
    }

    fn state() -> State {
        let curve: Vec<CurvePoint> = (1..=40)
            .map(|n| CurvePoint {
                step: 100 * n,
                loss: 0.7 / n as f64,
                precision: 0.9,
                recall: 0.9,
                f1: if n == 1 { f64::NAN } else { 0.8 },
            })
            .collect();
        let validated = |n: u64| Validated {
            step: 1000 * n,
            voi: 1.0 / n as f64,
            voi_split: 0.25,
            voi_merge: 0.125,
            adapted_rand_error: 0.5,
            segments: 12,
        };
        let validated: Vec<Validated> = (1..=6).map(validated).collect();
        let mut state = State::new("out");
        let view = TrainView {
            step: 4000,
            fovs: 16_000,
            seconds: 61.0,
            labelled_voxels: Some(32_000),
            bad_steps: 3,
            device: "cpu",
            curve: &curve,
            validated: &validated,
        };
        let unit = Unit::Steps;
        state.take(&Event::Started { stage: "train", total: 8000, unit });
        state.take(&Event::Trained(&TrainView { fovs: 0, seconds: 1.0, ..view }));
        state.take(&Event::Advanced { by: 4000, note: "" });
        state.take(&Event::Trained(&view));
        state
    }

    #[test]
    fn a_state_is_drawn() {
        let mut state = state();
        let picture = drawn(&state, 80, 30);
        for text in [
            "exavox train: out on cpu",
            "train: 50 %, 4,000 of 8,000 steps",
            "step 4,000, 16,000 FOVs, 266.7 FOVs/s, 61 seconds, 3 bad steps",
            "32,000 labelled voxels, 0.500 FOVs for each, loss 0.0175, F1 0.800",
            "6,000 (best)",
            "Ctrl-C ends it after a checkpoint",
        ] {
            assert!(picture.contains(text), "{text} in\n{picture}");
        }
        // The last four validations, and curves of dots.
        assert!(picture.contains("│3,000") && !picture.contains("│2,000"), "{picture}");
        assert!(picture.contains("█░"), "{picture}");
        let dots = picture.chars().filter(|c| ('\u{2801}'..='\u{28ff}').contains(c)).count();
        assert!(dots > 20, "{dots} in\n{picture}");
        assert!(!picture.contains("warnings"));
        state.take(&Event::Warning("a device was lost"));
        assert!(drawn(&state, 80, 30).contains("a device was lost"));
    }

    #[test]
    fn nothing_is_too_small_or_too_early() {
        for (width, height) in [(1, 1), (3, 2), (20, 5), (300, 100)] {
            for state in [State::new("x"), state()] {
                assert_eq!(drawn(&state, width, height).lines().count(), usize::from(height));
            }
        }
    }

    #[test]
    fn the_rest_takes_as_long_as_the_steps_of_this_run_did() {
        let mut state = state();
        let began = Instant::now();
        state.take(&Event::Advanced { by: 1000, note: "" });
        let later = began + Duration::from_secs(10);
        let left = state.stage.as_ref().and_then(|stage| stage.left(later)).unwrap();
        // 1000 steps in ten seconds, 3000 are left.
        assert!((29.0..31.0).contains(&left.as_secs_f64()), "{left:?}");
    }

    #[test]
    fn another_goes_on_where_the_screen_ended() {
        let mut seen = Vec::new();
        state().replay(&mut |event| seen.push(format!("{event:?}")));
        assert_eq!(seen.len(), 2);
        assert!(seen[0].contains("total: 8000") && seen[1].contains("by: 4000"), "{seen:?}");
    }
}
