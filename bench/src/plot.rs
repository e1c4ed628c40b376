//! The results as one picture: a row for every function and peer, a column for every metric.

use std::fmt::Write;

use crate::{
    names::{FUNCTIONS, Kind},
    results::Results,
};

const ROW: f64 = 20.0;
const TOP: f64 = 64.0;
const NAMES: f64 = 160.0;
const COLUMN: f64 = 150.0;
/// What is left of a column's width for the number after the longest bar.
const BAR: f64 = 96.0;

type Question = (&'static str, &'static str, fn(&Results, &str) -> Option<f64>);

const QUESTIONS: [Question; 7] = [
    ("start", "ms", Results::init),
    ("first callback at 128 MB", "ms", |results, name| results.first(name, "128 MB")),
    ("after ten idle minutes", "ms", |results, name| results.after_idle(name, "128 MB")),
    ("warm callback, p50", "ms", |results, name| Some(results.latency(name)?.median)),
    ("CPU of a warm callback", "ms", Results::cpu),
    ("peak memory", "MB", Results::memory),
    ("zip", "MB", Results::zip),
];

/// Bars on logarithmic scales, one scale per column. Shorter is better.
pub(crate) fn svg(results: &Results) -> String {
    let names = results.subjects();
    let width = NAMES + COLUMN * QUESTIONS.len() as f64 + 10.0;
    let height = TOP + ROW * names.len() as f64 + 14.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"11\" fill=\"#24292f\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"10\" y=\"22\" font-size=\"14\" font-weight=\"bold\">Rollcall's functions and their peers: \
         shorter is better, scales are logarithmic</text>\n"
    );
    for (row, name) in names.iter().enumerate() {
        let y = TOP + ROW * row as f64 + 13.0;
        let _ = writeln!(svg, "<text x=\"10\" y=\"{y}\">{name}</text>");
    }
    for (column, (title, unit, of)) in QUESTIONS.into_iter().enumerate() {
        let x = NAMES + COLUMN * column as f64;
        let _ =
            writeln!(svg, "<text x=\"{x}\" y=\"50\" font-weight=\"bold\">{title}, {unit}</text>");
        let values: Vec<_> = names.iter().map(|name| of(results, name)).collect();
        let known = || values.iter().copied().flatten();
        let least = known().fold(f64::INFINITY, f64::min) / 2.0;
        let most = known().fold(0.0, f64::max);
        for (row, (name, value)) in names.iter().zip(&values).enumerate() {
            let y = TOP + ROW * row as f64;
            let Some(value) = value else {
                let _ =
                    writeln!(svg, "<text x=\"{x}\" y=\"{}\" fill=\"#8c959f\">–</text>", y + 13.0);
                continue;
            };
            let length = BAR * (value / least).ln() / (most / least).ln();
            let color = color(name);
            let digits = if *value < 10.0 { 2 } else { usize::from(*value < 100.0) };
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{}\" width=\"{length:.1}\" height=\"{}\" rx=\"2\" fill=\"{color}\"/>\
                 <text x=\"{:.1}\" y=\"{}\">{value:.digits$}</text>",
                y + 3.0,
                ROW - 7.0,
                x + length + 4.0,
                y + 13.0,
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Callback functions, Rollcall's others, and peers.
fn color(name: &str) -> &'static str {
    match FUNCTIONS.iter().find(|(function, ..)| *function == name) {
        Some((_, Kind::Callback, _)) => "#1a7f64",
        Some(_) => "#7cc5b0",
        None => "#9aa4af",
    }
}
