//! Two axes with ticks, and the key above them: the ground of every plot of load and capacity.

use super::plots::{Canvas, INK, RIGHT, WIDTH};
use plotters::style::text_anchor::HPos;
use plotters::style::{Color, RGBColor};

const LEFT: i32 = 90;
const TOP: i32 = 44;
pub(super) const BOTTOM: i32 = 300;
/// Of the whole plot.
pub(super) const HEIGHT: u32 = BOTTOM as u32 + 70;

/// From a share of an axis to a pixel.
pub(super) fn x_of(share: f64) -> i32 {
    LEFT + (share.clamp(0.0, 1.0) * f64::from(WIDTH as i32 - LEFT - RIGHT)) as i32
}
pub(super) fn y_of(share: f64) -> i32 {
    BOTTOM - (share.clamp(0.0, 1.0) * f64::from(BOTTOM - TOP)) as i32
}

/// A line across at a share of the height.
pub(super) fn level(c: &Canvas<'_>, share: f64, strength: f64) {
    c.rule((LEFT, y_of(share)), (WIDTH as i32 - RIGHT, y_of(share)), strength);
}

/// The ground line, the ticks of the upright axis, and what lies along the other one.
pub(super) fn frame(c: &Canvas<'_>, ticks: &[(f64, String)], below: &str) {
    level(c, 0.0, 0.6);
    for (at, text) in ticks {
        level(c, *at, 0.15);
        c.text((LEFT - 10, y_of(*at)), text, HPos::Right, INK);
    }
    c.text((x_of(0.5), BOTTOM + 50), below, HPos::Center, INK);
}

/// A tick of the level axis.
pub(super) fn tick(c: &Canvas<'_>, share: f64, text: &str) {
    c.rule((x_of(share), BOTTOM), (x_of(share), BOTTOM + 5), 0.6);
    c.text((x_of(share), BOTTOM + 26), text, HPos::Center, INK);
}

/// What is counted upwards.
pub(super) fn above(c: &Canvas<'_>, text: &str) {
    c.text((10, 16), text, HPos::Left, INK);
}

/// The colour of series number `n`, where each name takes so many pixels.
pub(super) fn key(c: &Canvas<'_>, n: usize, apart: i32, name: &str, color: RGBColor) {
    let at = WIDTH as i32 / 3 + n as i32 * apart;
    c.line(vec![(at, 16), (at + 22, 16)], color.stroke_width(3));
    c.text((at + 30, 16), name, HPos::Left, INK);
}
