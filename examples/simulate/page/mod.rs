//! The outcome as one page: no script, nothing from elsewhere, light and dark, readable on a phone.

mod chart;
mod contacts;
mod delay;
mod epidemic;
mod schedules;
mod tables;

use std::fmt::{self, Write};

use truyvet::sim::{Outcome, World};

use crate::support::Escaped;
use crate::terminal::round;

/// Colours of Okabe and Ito's set, which people who are colour-blind tell apart, darker or lighter as the paper is.
const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c1b1f;--paper:#fffdf9;--soft:#5c5963;--line:#8883;--with:#0072b2;--without:#8a8790;\
--mark:#b45f00;--heat:#3aa0dc;--good:#00674b;--bad:#a3291c}\
@media(prefers-color-scheme:dark){:root{--ink:#eceaf0;--paper:#16151a;--soft:#aeabb6;--line:#fff3;--with:#56b4e9;\
--without:#8e8b96;--mark:#e69f00;--heat:#0f7fc2;--good:#4cc9a0;--bad:#ff8a75}}\
*{box-sizing:border-box}body{font:1rem/1.5 system-ui,sans-serif;max-width:72rem;margin:auto;padding:1rem;\
color:var(--ink);background:var(--paper)}\
h1{font-size:1.6rem;line-height:1.2}h2{font-size:1.25rem;margin:2.5rem 0 .5rem}p{max-width:44rem;margin:.5rem 0}\
.small,.note{font-size:.875rem;color:var(--soft)}.note{border-left:.25rem solid var(--mark);padding-left:.75rem}\
.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,21rem),1fr));gap:1.25rem 1.5rem;margin-top:1rem}\
figure{margin:0;min-width:0}figcaption{font-size:.875rem;line-height:1.35;margin-bottom:.35rem}\
svg{display:block;width:100%;height:auto;max-width:30rem}svg text{fill:var(--ink);font:12px system-ui,sans-serif}\
svg .soft{fill:var(--soft)}svg .bold{font-weight:600}\
.key{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;font-size:.875rem}.key span::before{content:\"\";display:inline-block;\
width:.9em;height:.9em;margin-right:.4em;vertical-align:-.1em;background:var(--c)}\
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,21rem),1fr));gap:1rem;margin-top:1rem}\
.card{border:1px solid var(--line);border-radius:.4rem;padding:.75rem 1rem}.card h3{font-size:1rem;margin:0}\
.card p{font-size:.9rem}.verdict{font-weight:600}.good{color:var(--good)}.bad{color:var(--bad)}\
.numbers{display:flex;flex-wrap:wrap;gap:1rem 2.5rem;margin:1rem 0}.numbers div{max-width:15rem}\
.numbers b{display:block;font-size:1.8rem;line-height:1.2}\
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.875rem}th,td{text-align:right;padding:.3rem .75rem;\
border-bottom:1px solid var(--line);vertical-align:top}th:first-child,td:first-child{text-align:left;padding-left:0}\
.words td,.words th{text-align:left;overflow-wrap:anywhere}summary{cursor:pointer;font-weight:600;margin-top:2.5rem}\
@media(max-width:40rem){th,td{padding:.3rem .4rem}.words tr,.words td{display:block;border:0;padding:0}.words tr{padding:.5rem 0;\
border-bottom:1px solid var(--line)}.words thead{display:none}.words td:first-child{font-weight:600}}";

/// The whole page.
pub(crate) fn page(outcome: &Outcome) -> String {
    let mut page = String::new();
    write_page(&mut page, outcome).map_or_else(|_| String::new(), |()| page)
}

fn write_page(out: &mut String, outcome: &Outcome) -> fmt::Result {
    write!(
        out,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\">\
         <title>A simulated town</title><style>{STYLE}</style><h1>A simulated town, and what its tracers found</h1>"
    )?;
    let without = outcome.worlds.first();
    if let Some(world) = without {
        write!(
            out,
            "<p>{} people for {} days, with the library's own engine, log and matcher in each device. Seed {}: the same \
             seed gives the same page.</p>",
            chart::grouped(world.people.into()),
            world.days.len(),
            outcome.seed
        )?;
    }
    write!(
        out,
        "<p class=\"note\">A model to compare with, and no medical advice: what it assumes of people and of the \
         infection is at the end, with where it is from.</p>"
    )?;
    let traced = most_used(outcome);
    numbers(out, without, traced)?;
    epidemic::section(out, &outcome.worlds)?;
    if let Some(world) = traced {
        found(out, world)?;
    }
    schedules::section(out, &outcome.schedules)?;
    tables::attacks(out, &outcome.attacks)?;
    tables::cost(out, &outcome.worlds)?;
    tables::parameters(out, &outcome.scenario)?;
    out.write_str("</html>\n")
}

fn found(out: &mut String, world: &World) -> fmt::Result {
    let rule = &world.detection;
    write!(
        out,
        "<h2>What was found, and when</h2><p>Meetings with people who reported, if {} use the app. The rule says to tell \
         those who were within {} m for {} minutes together: its corner is framed. In each field, the share, and of how \
         many meetings.</p><div class=\"figures\">",
        adoption(world),
        round(rule.near_m),
        round(rule.near_minutes)
    )?;
    contacts::found(out, rule)?;
    delay::figure(out, world)?;
    write!(out, "</div>")
}

/// The world in which most people use the app: what is counted of contacts is surest there.
fn most_used(outcome: &Outcome) -> Option<&World> {
    let traced = outcome.worlds.iter().filter(|world| world.tracing);
    traced.max_by(|one, other| one.adoption.total_cmp(&other.adoption))
}

/// `60 %`.
fn adoption(world: &World) -> String {
    format!("{} %", round(100.0 * world.adoption))
}

fn infected(world: &World) -> u32 {
    world.days.iter().map(|day| day.infections).sum()
}

/// What one would remember.
fn numbers(out: &mut String, without: Option<&World>, traced: Option<&World>) -> fmt::Result {
    let (Some(without), Some(traced)) = (without, traced) else {
        return Ok(());
    };
    let found = &traced.detection;
    write!(
        out,
        "<div class=\"numbers\"><div><b>{} → {}</b>infected without tracing, and if {} use the app: one draw of chance, another seed gives others</div>\
         <div><b>{} of {}</b>contacts of reported people found there</div>\
         <div><b>{}</b>told though the rule was not met, {} of them never within {} m</div></div>",
        chart::grouped(infected(without).into()),
        chart::grouped(infected(traced).into()),
        Escaped(&adoption(traced)),
        chart::grouped(found.found),
        chart::grouped(found.contacts),
        chart::grouped(found.false_alerts),
        chart::grouped(found.false_far),
        round(found.far_m),
    )
}
