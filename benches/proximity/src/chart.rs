//! A reliability diagram: how often what was called so probable was so.

use std::fmt::Write as _;

use crate::score::Bin;

/// Edge of the square in which probabilities are drawn, and what stands around it, pixels.
const EDGE: f64 = 400.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 48.0;

/// Colours that are told apart by those who see few (Okabe and Ito).
const COLOURS: [&str; 3] = ["#0072b2", "#d55e00", "#009e73"];

/// An SVG of `curves`: a name and its bins each. A dot's area goes with the windows in its bin.
pub fn reliability_svg(curves: &[(String, Vec<Bin>)]) -> String {
    let mut svg = frame();
    for (n, ((name, bins), colour)) in curves.iter().zip(COLOURS).enumerate() {
        let points: Vec<String> = bins
            .iter()
            .map(|bin| point(bin.forecast, bin.observed))
            .collect();
        let line = points.join(" ");
        add(
            &mut svg,
            format_args!(
                "<polyline points=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
            ),
        );
        for bin in bins {
            let (x, y) = place(bin.forecast, bin.observed);
            let radius = (bin.count as f64).sqrt().clamp(2.0, 18.0) / 2.0;
            let title = format!(
                "{name}: {} windows, {:.2} forecast, {:.2} observed",
                bin.count, bin.forecast, bin.observed
            );
            add(
                &mut svg,
                format_args!(
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" fill=\"{colour}\"><title>{title}</title></circle>"
                ),
            );
        }
        let y = TOP + 20.0 + 20.0 * n as f64;
        let x = LEFT + 12.0;
        add(
            &mut svg,
            format_args!("<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{name}</text>"),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// The square, its axes, and the line on which every forecast would be right.
fn frame() -> String {
    let (width, height) = (LEFT + EDGE + 24.0, TOP + EDGE + 56.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"14\">\n\
         <title>Reliability of forecasts in scenes that were held out</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    add(
        &mut svg,
        format_args!(
            "<text x=\"{LEFT}\" y=\"28\" font-size=\"16\">How often it was so, in scenes that were held out</text>"
        ),
    );
    for tenth in (0..=10).step_by(2) {
        let share = f64::from(tenth) / 10.0;
        let (x, y) = place(share, share);
        let (right, bottom) = (LEFT + EDGE, TOP + EDGE);
        let (label_x, label_y, below) = (LEFT - 8.0, y + 5.0, bottom + 20.0);
        add(
            &mut svg,
            format_args!("<path d=\"M{LEFT} {y}H{right}M{x} {TOP}V{bottom}\" stroke=\"#ddd\"/>"),
        );
        add(
            &mut svg,
            format_args!(
                "<text x=\"{label_x}\" y=\"{label_y}\" text-anchor=\"end\">{share:.1}</text>"
            ),
        );
        add(
            &mut svg,
            format_args!("<text x=\"{x}\" y=\"{below}\" text-anchor=\"middle\">{share:.1}</text>"),
        );
    }
    let diagonal = format!("{} {}", point(0.0, 0.0), point(1.0, 1.0));
    add(
        &mut svg,
        format_args!(
            "<polyline points=\"{diagonal}\" fill=\"none\" stroke=\"#888\" stroke-dasharray=\"4\"/>"
        ),
    );
    let (middle, below) = (LEFT + EDGE / 2.0, TOP + EDGE + 44.0);
    add(
        &mut svg,
        format_args!(
            "<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">probability told</text>"
        ),
    );
    let aside = TOP + EDGE / 2.0;
    add(
        &mut svg,
        format_args!(
            "<text transform=\"translate(18 {aside}) rotate(-90)\" text-anchor=\"middle\">share that was near</text>"
        ),
    );
    svg
}

fn add(svg: &mut String, element: std::fmt::Arguments<'_>) {
    // A string takes whatever is written.
    let _ = writeln!(svg, "{element}");
}

fn place(forecast: f64, observed: f64) -> (f64, f64) {
    (LEFT + EDGE * forecast, TOP + EDGE * (1.0 - observed))
}

fn point(forecast: f64, observed: f64) -> String {
    let (x, y) = place(forecast, observed);
    format!("{x:.1},{y:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_where_their_bins_are() {
        let bins = vec![Bin {
            count: 16,
            forecast: 0.25,
            observed: 0.5,
        }];
        let svg = reliability_svg(&[("within 2 m".into(), bins)]);
        assert!(svg.contains("cx=\"164.0\" cy=\"248.0\" r=\"2.0\""), "{svg}");
        assert!(svg.contains("within 2 m: 16 windows, 0.25 forecast, 0.50 observed"));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }
}
