//! What slots did, as areas on top of each other.

use super::super::simulation::{Profile, SlotCounts};
use super::svg::Svg;

/// Where a profile is drawn: time to the right, slots upwards.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) left: f64,
    pub(super) width: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    /// Slots of the whole height.
    pub(super) slots: f64,
}

impl Place {
    fn y(&self, slots: f64) -> f64 {
        self.bottom - (slots / self.slots).clamp(0.0, 1.0) * (self.bottom - self.top)
    }

    /// Busy slots from below, on them those that start; slots that are down hang from `of`.
    pub(super) fn draw(&self, svg: &mut Svg, colour: usize, profile: &Profile, of: f64) {
        let columns = profile.columns((self.width.ceil() as usize).clamp(1, 400));
        let class = format!("c{colour}");
        let zero = |_: &SlotCounts| 0.0;
        self.band(svg, &class, &columns, zero, |c| c.busy);
        self.band(svg, "starting", &columns, |c| c.busy, |c| c.busy + c.starting);
        self.band(svg, "down", &columns, |c| of - c.down, |_| of);
    }

    fn band(
        &self,
        svg: &mut Svg,
        class: &str,
        columns: &[SlotCounts],
        low: impl Fn(&SlotCounts) -> f64,
        high: impl Fn(&SlotCounts) -> f64,
    ) {
        let step = self.width / columns.len() as f64;
        let mut first = 0;
        // Stretches with something in them, so that nothing is drawn as a line of no height.
        while first < columns.len() {
            let seen = |c: &SlotCounts| high(c) - low(c) > 1e-6 * self.slots;
            let length = columns[first..].iter().take_while(|c| seen(c)).count();
            if length > 0 {
                let stretch = &columns[first..first + length];
                let left = self.left + first as f64 * step;
                let mut points = self.outline(stretch, left, step, &high);
                let mut below = self.outline(stretch, left, step, &low);
                below.reverse();
                points.append(&mut below);
                svg.path(class, &points, true);
            }
            first += length.max(1);
        }
    }

    /// A step for each column; columns alike are one step.
    fn outline(
        &self,
        columns: &[SlotCounts],
        left: f64,
        step: f64,
        height: impl Fn(&SlotCounts) -> f64,
    ) -> Vec<(f64, f64)> {
        let mut points: Vec<(f64, f64)> = Vec::new();
        for (number, column) in columns.iter().enumerate() {
            let (from, to) = (left + number as f64 * step, left + (number + 1) as f64 * step);
            let y = self.y(height(column));
            match points.last_mut() {
                Some(last) if (last.1 - y).abs() < 0.05 => last.0 = to,
                _ => points.extend([(from, y), (to, y)]),
            }
        }
        points
    }
}
