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

/// Sizes of the name, of which the largest is taken whose lines end above the code. Chosen: at the last, the longest name
/// has five lines wherever it breaks.
const NAME_SIZES: [u32; 3] = [12, 10, 8];

/// What a line of the name is wide, in columns times their size, a wide character being two columns. Chosen: 24 columns
/// at size 12 fit the sheet.
const NAME_WIDTH: u32 = 288;

/// The name's first line, and where its last stands at the latest: what hangs below, a quarter of the size, ends before
/// the quiet zone, which has 9.8 mm at most.
const NAME_TOP: u32 = 52;
const NAME_BOTTOM: u32 = 95;

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
    let (size, name) = laid_out(code.unverified_name());
    for (y, part) in (NAME_TOP..).step_by(size as usize + 2).zip(&name) {
        line(&mut svg, y, size, part);
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

/// The size of `name`, and its lines.
fn laid_out(name: &str) -> (u32, Vec<String>) {
    let [.., smallest] = NAME_SIZES;
    let in_lines = |size| (size, lines_of(name, (NAME_WIDTH / size) as usize));
    let mut sizes = NAME_SIZES.into_iter().map(in_lines);
    let fitting = sizes.find(|(size, lines)| last_line(*size, lines.len()) <= NAME_BOTTOM);
    fitting.unwrap_or_else(|| in_lines(smallest))
}

/// Where the last of so many lines stands.
fn last_line(size: u32, lines: usize) -> u32 {
    NAME_TOP + (size + 2) * (lines as u32).saturating_sub(1)
}

/// `name` in lines of so many columns, broken at spaces where it can be.
fn lines_of(name: &str, columns_max: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in name.split_whitespace() {
        let fits = lines.last().is_some_and(|line| {
            line.is_empty() || columns(line) + 1 + columns(word) <= columns_max
        });
        if !fits {
            lines.push(String::new());
        } else if let Some(line) = lines.last_mut().filter(|line| !line.is_empty()) {
            line.push(' ');
        }
        for c in word.chars() {
            if lines
                .last()
                .is_some_and(|line| columns(line) + width(c) > columns_max)
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
