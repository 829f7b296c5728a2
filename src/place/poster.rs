//! A place's code as a poster: SVG for a sheet of A4.

use std::fmt::Write;

use qrcodegen::{QrCode, QrCodeEcc};

use super::PlaceCode;
use super::code::PlaceCodeError;

/// Millimetres of a sheet of A4 (ISO 216), which the picture's units are.
const SHEET: (u32, u32) = (210, 297);

/// The edge of the code without the quiet zone around it. Chosen: some two millimetres a module, which a phone
/// reads from a metre and more.
const CODE_EDGE: u32 = 120;

/// Light modules around a code (ISO/IEC 18004, 6.3.8).
const QUIET_MODULES: i32 = 4;

/// Where the code begins, from the top.
const CODE_TOP: u32 = 108;

/// Columns in a line of the name, a wide character being two. Chosen: what fits the sheet at [`NAME_SIZE`].
const NAME_COLUMNS: usize = 24;
const NAME_SIZE: u32 = 12;

/// What is to be done, and what becomes of it.
const ABOVE: [&str; 2] = ["Quét mã này khi bạn đến", "Scan this code when you come in"];
const BELOW: [&str; 4] = [
    "Lượt ghé được mã hoá và chỉ lưu trong máy của bạn 14 ngày,",
    "không gửi cho ai; nơi này không biết bạn là ai.",
    "Your visit is kept encrypted on your own device alone for 14 days,",
    "and sent to nobody; this place does not learn who you are.",
];

/// The poster: the place's name, its code at error correction level M or better, and a sentence in Vietnamese
/// and English on what becomes of a visitor's data. Text is text, so that the sheet needs a font with Vietnamese.
///
/// # Errors
///
/// None that a well-formed code brings about: the longest one takes version 10 of QR's 40.
pub fn poster_svg(code: &PlaceCode) -> Result<String, PlaceCodeError> {
    let text = code.to_string();
    let qr = QrCode::encode_text(&text, QrCodeEcc::Medium)
        .map_err(|_| PlaceCodeError::TooLong { len: text.len() })?;
    let (width, height) = SHEET;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}mm\" height=\"{height}mm\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"Noto Sans, DejaVu Sans, Arial, sans-serif\" \
         text-anchor=\"middle\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    line(&mut svg, 24, 9, ABOVE[0]);
    line(&mut svg, 34, 7, ABOVE[1]);
    let mut y = 52;
    for part in lines_of(code.unverified_name()) {
        line(&mut svg, y, NAME_SIZE, &part);
        y += NAME_SIZE + 2;
    }
    draw(&mut svg, &qr);
    for (index, text) in (0..).zip(BELOW) {
        line(&mut svg, 252 + 8 * index, 5, text);
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn line(svg: &mut String, y: u32, size: u32, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{y}\" font-size=\"{size}\">{}</text>",
        SHEET.0 / 2,
        escaped(text)
    );
}

/// The code as one path, a step for each run of dark modules. Its units are modules; the quiet zone is part of
/// the square that is scaled to the sheet.
fn draw(svg: &mut String, qr: &QrCode) {
    let scale = f64::from(CODE_EDGE) / f64::from(qr.size());
    let left = f64::from(SHEET.0 - CODE_EDGE) / 2.0;
    let whole = qr.size() + 2 * QUIET_MODULES;
    let _ = writeln!(
        svg,
        "<g transform=\"translate({left} {CODE_TOP}) scale({scale:.5})\" shape-rendering=\"crispEdges\">\n\
         <rect x=\"-{QUIET_MODULES}\" y=\"-{QUIET_MODULES}\" width=\"{whole}\" height=\"{whole}\" fill=\"#fff\"/>"
    );
    svg.push_str("<path d=\"");
    for y in 0..qr.size() {
        let mut x = 0;
        while x < qr.size() {
            let run = (x..qr.size()).take_while(|x| qr.get_module(*x, y));
            let run = i32::try_from(run.count()).unwrap_or(i32::MAX);
            if run > 0 {
                let _ = write!(svg, "M{x} {y}h{run}v1h-{run}z");
            }
            x = x.saturating_add(run.max(1));
        }
    }
    svg.push_str("\"/>\n</g>\n");
}

/// `name` in lines, broken at spaces where it can be.
fn lines_of(name: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in name.split_whitespace() {
        let fits = lines.last().is_some_and(|line| {
            line.is_empty() || columns(line) + 1 + columns(word) <= NAME_COLUMNS
        });
        if !fits {
            lines.push(String::new());
        } else if let Some(line) = lines.last_mut().filter(|line| !line.is_empty()) {
            line.push(' ');
        }
        for c in word.chars() {
            if lines
                .last()
                .is_some_and(|line| columns(line) + width(c) > NAME_COLUMNS)
            {
                lines.push(String::new());
            }
            if let Some(line) = lines.last_mut() {
                line.push(c);
            }
        }
    }
    lines
}

fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// Wide are the scripts from Hangul Jamo on, and emoji.
fn width(c: char) -> usize {
    if c < '\u{1100}' { 1 } else { 2 }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // XML has no such characters.
            '\u{FFFE}' | '\u{FFFF}' => escaped.push('\u{FFFD}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
