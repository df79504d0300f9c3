//! The parts of the picture, from above to below; each draws itself from `top` on and says where the
//! next one begins.

pub(super) mod scaling;
pub(super) mod stages;
pub(super) mod tail;
pub(super) mod whole;

use super::super::quantity::{count, time_unit};
use super::area::Place;
use super::svg::{Svg, tick_label, ticks};

/// Frame, lines and labels of a panel with time to the right and slots upwards.
fn axes(svg: &mut Svg, place: &Place, seconds: f64) {
    let Place { left, width, top, bottom, slots } = *place;
    svg.rect("frame", left, top, width, bottom - top);
    for tick in ticks(slots).into_iter().filter(|tick| tick.fract() == 0.0) {
        let y = bottom - tick / slots * (bottom - top);
        svg.line("grid", (left, y), (left + width, y));
        svg.text("tick end", left - 6.0, y + 4.0, &count(tick as u64));
    }
    let (unit, name) = time_unit(seconds);
    for tick in ticks(seconds / unit) {
        let x = left + tick * unit / seconds * width;
        svg.line("grid", (x, top), (x, bottom));
        svg.text("tick middle", x, bottom + 22.0, &format!("{} {name}", tick_label(tick)));
    }
}
