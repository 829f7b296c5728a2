//! A chart's area, its axes and its numbers.

use std::fmt::{self, Write};

/// The width of each picture in its own units, which are about a pixel: a phone shows it as it is.
pub(super) const WIDTH: f64 = 360.0;

/// Where a chart draws, and up to which values.
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) x_top: f64,
    pub(super) y_top: f64,
}

impl Area {
    /// Beside numbers of the vertical axis, above those of the horizontal.
    pub(super) fn new(height: f64, x_top: f64, y_top: f64) -> Self {
        let left = 14.0 + 7.0 * grouped(y_top as u64).len() as f64;
        Self {
            left,
            top: 22.0,
            width: WIDTH - left - 12.0,
            height,
            x_top: x_top.max(f64::MIN_POSITIVE),
            y_top: y_top.max(f64::MIN_POSITIVE),
        }
    }

    pub(super) fn x(&self, value: f64) -> f64 {
        self.left + value / self.x_top * self.width
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        self.bottom() - value / self.y_top * self.height
    }

    pub(super) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Opens the picture, with lines at round values upwards, and what they count.
    pub(super) fn open(&self, out: &mut String, label: &str, counted: &str) -> fmt::Result {
        write!(
            out,
            "<svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"{label}\">\
             <text class=\"soft\" x=\"0\" y=\"12\">{counted}</text>",
            self.bottom() + 36.0
        )?;
        let step = step(self.y_top);
        let lines = (self.y_top / step).round() as u32;
        for line in 0..=lines {
            let value = f64::from(line) * step;
            let y = self.y(value);
            write!(
                out,
                "<path d=\"M{:.1} {y:.1}h{:.1}\" stroke=\"var(--line)\"/>\
                 <text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                self.left,
                self.width,
                self.left - 6.0,
                y + 4.0,
                grouped(value as u64)
            )?;
        }
        Ok(())
    }

    /// Numbers at round values along the bottom, what they count, and the picture's end.
    pub(super) fn close(&self, out: &mut String, counted: &str) -> fmt::Result {
        let step = step(self.x_top);
        let mut value = 0.0;
        while value <= self.x_top * 1.000_001 {
            write!(
                out,
                "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                self.x(value),
                self.bottom() + 15.0,
                grouped(value as u64)
            )?;
            value += step;
        }
        write!(
            out,
            "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{counted}</text></svg>",
            self.left + self.width,
            self.bottom() + 31.0
        )
    }
}

/// A round number with which four or five lines reach `top`: 1, 2 or 5, and zeros. One at least, as people are whole.
pub(super) fn step(top: f64) -> f64 {
    let rough = (top / 4.0).max(1.0);
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
    steps
        .into_iter()
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(rough)
}

/// The round number at or above `most` that lines reach.
pub(super) fn round_top(most: f64) -> f64 {
    let step = step(most);
    (most / step).ceil().max(1.0) * step
}

/// `12,345`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
