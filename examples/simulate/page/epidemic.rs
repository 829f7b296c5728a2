//! The infection, day by day, with and without tracing.

use std::fmt::{self, Write};

use truyvet::sim::World;

use super::chart::{Area, WIDTH, grouped, round_top};
use super::contacts;
use super::{adoption, infected};

pub(super) fn section(out: &mut String, worlds: &[World]) -> fmt::Result {
    let Some((without, others)) = worlds.split_first() else {
        return Ok(());
    };
    let days = worlds.iter().map(|world| world.days.len()).max();
    let days = days.unwrap_or_default().saturating_sub(1).max(1) as f64;
    let most = worlds.iter().flat_map(|world| &world.days);
    let most = most.map(|day| day.infectious).max().unwrap_or_default();
    write!(
        out,
        "<h2>The infection, by how many use the app</h2><p>The same people and the same infection in each picture, on the \
         same axes; those who are told stay at home.</p><p class=\"key\"><span style=\"--c:var(--without)\">without \
         tracing</span><span style=\"--c:var(--with)\">with tracing</span></p><div class=\"figures\">"
    )?;
    for world in others {
        let area = Area::new(150.0, days, round_top(most.into()));
        write!(
            out,
            "<figure><figcaption><b>{} use the app</b>: {} infected in all, of {} people</figcaption>",
            adoption(world),
            grouped(infected(world).into()),
            grouped(world.people.into())
        )?;
        area.open(
            out,
            "People who are infectious, day by day",
            "infectious people",
        )?;
        curve(
            out,
            &area,
            without,
            "fill=\"var(--without)\" fill-opacity=\".45\"",
            true,
        )?;
        let line =
            "fill=\"none\" stroke=\"var(--with)\" stroke-width=\"2.5\" stroke-linejoin=\"round\"";
        curve(out, &area, world, line, false)?;
        peaks(out, &area, without, world)?;
        area.close(out, "day")?;
        write!(out, "</figure>")?;
    }
    in_all(out, worlds)?;
    contacts::places(out, without)?;
    write!(out, "</div>")
}

fn curve(out: &mut String, area: &Area, world: &World, look: &str, filled: bool) -> fmt::Result {
    write!(out, "<path {look} d=\"")?;
    for (number, day) in world.days.iter().enumerate() {
        let letter = if number == 0 { 'M' } else { 'L' };
        let (x, y) = (area.x(number as f64), area.y(day.infectious.into()));
        write!(out, "{letter}{x:.1} {y:.1}")?;
    }
    if filled && !world.days.is_empty() {
        let last = area.x(world.days.len() as f64 - 1.0);
        write!(
            out,
            "L{last:.1} {:.1}L{:.1} {:.1}Z",
            area.bottom(),
            area.left,
            area.bottom()
        )?;
    }
    out.write_str("\"/>")
}

/// The highest point of each, with its number; one keeps clear of the other.
fn peaks(out: &mut String, area: &Area, without: &World, with: &World) -> fmt::Result {
    let upper = peak(without);
    let lower = peak(with);
    let (Some(upper), Some(lower)) = (upper, lower) else {
        return Ok(());
    };
    let place = |(day, people): (usize, u32)| (area.x(day as f64), area.y(people.into()));
    let ((x1, y1), (x2, y2)) = (place(upper), place(lower));
    let close = (x1 - x2).abs() < 60.0 && (y1 - y2).abs() < 18.0;
    let y2_text = if close { y2 + 18.0 } else { y2 - 8.0 };
    for (x, y, people, colour) in [
        (x1, y1 - 8.0, upper.1, "var(--ink)"),
        (x2, y2_text, lower.1, "var(--with)"),
    ] {
        let x = x.clamp(area.left + 12.0, WIDTH - 14.0);
        write!(
            out,
            "<text class=\"bold\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" style=\"fill:{colour}\">{}</text>",
            grouped(people.into())
        )?;
    }
    write!(
        out,
        "<circle cx=\"{x2:.1}\" cy=\"{y2:.1}\" r=\"3.5\" fill=\"var(--with)\"/>"
    )
}

fn peak(world: &World) -> Option<(usize, u32)> {
    let days = world.days.iter().map(|day| day.infectious).enumerate();
    // The first of the highest days.
    days.rev().max_by_key(|(_, people)| *people)
}

/// How many were infected in each world, as bars.
fn in_all(out: &mut String, worlds: &[World]) -> fmt::Result {
    const ROW: f64 = 26.0;
    const LEFT: f64 = 78.0;
    let most = worlds.iter().map(infected).max().unwrap_or_default().max(1);
    write!(
        out,
        "<figure><figcaption><b>Infected in all</b>, by who uses the app</figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"Infected in all, by adoption\">",
        ROW * worlds.len() as f64 + 4.0
    )?;
    for (number, world) in worlds.iter().enumerate() {
        let y = ROW * number as f64;
        let width = f64::from(infected(world)) / f64::from(most) * (WIDTH - LEFT - 50.0);
        let (name, colour) = match world.tracing {
            true => (adoption(world), "var(--with)"),
            false => ("no tracing".to_owned(), "var(--without)"),
        };
        write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>\
             <rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"18\" fill=\"{colour}\"/>\
             <text class=\"bold\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT - 8.0,
            y + 16.0,
            y + 3.0,
            LEFT + width + 6.0,
            y + 16.0,
            grouped(infected(world).into())
        )?;
    }
    write!(out, "</svg></figure>")
}
