//! The day as a picture: callbacks in a second, and the limits.

use std::{fmt::Write, ops::Range};

use super::{
    people::{DAY, EMPTIES, FILLS, HOUR, MINUTE, OUTAGE},
    play::Played,
    second::Second,
    stack::Stack,
    tables::number,
};
use crate::{measured::LEAVES, quotas::PARTITION_UNITS};

const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 760.0;

const CAME: &str = "#24292f";
const STORED: &str = "#1a7f64";
const QUEUED: &str = "#d4a72c";
const REFUSED: &str = "#cf222e";
const LIMIT: &str = "#8250df";

/// A place for a diagram: seconds from left to right, callbacks a second from the bottom up.
struct Frame {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    seconds: Range<f64>,
    scale: Scale,
}

#[derive(Clone, Copy)]
enum Scale {
    /// From zero to this.
    Linear(f64),
    /// From and to these.
    Logarithmic(f64, f64),
}

#[derive(Clone, Copy)]
enum End {
    Left,
    Right,
}

impl Frame {
    fn at(&self, second: f64) -> f64 {
        let length = self.seconds.end - self.seconds.start;
        self.x + self.width * (second - self.seconds.start) / length
    }

    fn height_of(&self, rate: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear(most) => rate / most,
            Scale::Logarithmic(least, most) => (rate.max(least) / least).ln() / (most / least).ln(),
        };
        self.y + self.height * (1.0 - share.clamp(0.0, 1.0))
    }

    /// Grid, and the numbers beside it.
    fn axes(&self, svg: &mut String, title: &str, rates: &[f64], times: &[(f64, String)]) {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" font-weight=\"bold\">{title}</text>",
            self.x,
            self.y - 10.0
        );
        for rate in rates {
            let y = self.height_of(*rate);
            let _ = writeln!(
                svg,
                "<path d=\"M{:.1} {y:.1}h{:.1}\" stroke=\"#d0d7de\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#57606a\">{}</text>",
                self.x,
                self.width,
                self.x - 5.0,
                y + 4.0,
                number(*rate)
            );
        }
        for (second, name) in times {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#57606a\">{name}</text>",
                self.at(*second),
                self.y + self.height + 16.0
            );
        }
    }

    /// A dashed line with its name above it, at one of its ends.
    fn limit(&self, svg: &mut String, rate: f64, name: &str, end: End) {
        let y = self.height_of(rate);
        let (x, anchor) = match end {
            End::Left => (self.x + 4.0, "start"),
            End::Right => (self.x + self.width - 4.0, "end"),
        };
        let _ = writeln!(
            svg,
            "<path d=\"M{:.1} {y:.1}h{:.1}\" stroke=\"{LIMIT}\" stroke-dasharray=\"5 4\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"{LIMIT}\">{name}</text>",
            self.x,
            self.width,
            y - 4.0
        );
    }

    fn line(&self, svg: &mut String, points: &[(f64, f64)], color: &str) {
        let mut path = String::new();
        for (place, (second, rate)) in points.iter().enumerate() {
            let command = if place == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", self.at(*second), self.height_of(*rate));
        }
        let _ = writeln!(
            svg,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\"/>"
        );
    }

    /// A bar for each second, from a rate to another one.
    fn bars(&self, svg: &mut String, bars: impl Iterator<Item = (f64, f64, f64)>, color: &str) {
        let mut path = String::new();
        for (second, from, to) in bars.filter(|(_, from, to)| to > from) {
            let (left, right) = (self.at(second), self.at(second + 1.0));
            let (bottom, top) = (self.height_of(from), self.height_of(to));
            let _ = write!(path, "M{left:.1} {bottom:.1}V{top:.1}H{right:.1}V{bottom:.1}Z");
        }
        let _ = writeln!(svg, "<path d=\"{path}\" fill=\"{color}\"/>");
    }
}

/// The whole day by default, and the minutes of the large room by default and prepared.
pub(crate) fn svg(default: (&Stack, &Played), prepared: (&Stack, &Played)) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#24292f\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <text x=\"20\" y=\"26\" font-size=\"15\" font-weight=\"bold\">A day of one million people: \
         callbacks in a second</text>\n"
    );
    day(&mut svg, default);
    legend(&mut svg);
    let titles = [
        ("The room fills, all defaults", default, FILLS, 60.0, 410.0),
        ("The room fills, prepared", prepared, FILLS, 560.0, 410.0),
        ("It empties, all defaults", default, EMPTIES, 60.0, 600.0),
        ("It empties, prepared", prepared, EMPTIES, 560.0, 600.0),
    ];
    for (title, (stack, played), minute, x, y) in titles {
        let frame = Frame {
            x,
            y,
            width: 420.0,
            height: 120.0,
            seconds: minute.start as f64 - 10.0..minute.start as f64 + 130.0,
            scale: Scale::Linear(30_000.0),
        };
        zoom(&mut svg, &frame, title, stack, played, minute);
    }
    svg.push_str("</svg>\n");
    svg
}

/// By the minute: the most that came in a second, and what the queue gave back.
fn day(svg: &mut String, (stack, played): (&Stack, &Played)) {
    let frame = Frame {
        x: 60.0,
        y: 70.0,
        width: 920.0,
        height: 250.0,
        seconds: 0.0..DAY as f64,
        scale: Scale::Logarithmic(50.0, 40_000.0),
    };
    let (left, right) = (frame.at(OUTAGE.start as f64), frame.at(OUTAGE.end as f64));
    let _ = writeln!(
        svg,
        "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#fff1e5\"/>",
        frame.y,
        right - left,
        frame.height
    );
    let hours: Vec<_> =
        (0..=8).map(|n| n * 3).map(|hour| ((hour * HOUR) as f64, format!("{hour}:00"))).collect();
    frame.axes(svg, "The day, all defaults", &[100.0, 1_000.0, 10_000.0], &hours);
    frame.limit(svg, stack.gateway_rate, "API Gateway", End::Left);
    frame.limit(svg, stack.warm_table, "a table that is not warm", End::Left);
    let leaves = stack.room_shards * PARTITION_UNITS / f64::from(LEAVES.index);
    frame.limit(svg, leaves, "leaves of one room, with four shards", End::Left);
    let minutes: Vec<(f64, &[Second])> = played
        .seconds
        .chunks(MINUTE)
        .enumerate()
        .map(|(minute, seconds)| ((minute * MINUTE + MINUTE / 2) as f64, seconds))
        .collect();
    let drained: Vec<(f64, f64)> = minutes
        .iter()
        .map(|(at, seconds)| (*at, Second::sum(seconds).drained / MINUTE as f64))
        .collect();
    // The line is where something is drained only.
    for part in drained.split(|(_, rate)| *rate < 1.0).filter(|part| !part.is_empty()) {
        frame.line(svg, part, QUEUED);
    }
    let came: Vec<(f64, f64)> = minutes
        .iter()
        .map(|(at, seconds)| (*at, seconds.iter().map(Second::attempts).fold(0.0, f64::max)))
        .collect();
    frame.line(svg, &came, CAME);
    let note = |svg: &mut String, second: f64, rate: f64, anchor: &str, color: &str, text: &str| {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"{color}\">{text}</text>",
            frame.at(second),
            frame.height_of(rate)
        );
    };
    note(svg, OUTAGE.start as f64 - 500.0, 110.0, "end", "#953800", "DynamoDB is down");
    note(svg, OUTAGE.end as f64 + 500.0, 75.0, "start", "#9a6700", "the queue is drained");
    note(svg, 10.0 * HOUR as f64, 220.0, "middle", CAME, "callbacks that come");
    let fills = FILLS.start as f64 - 500.0;
    note(
        svg,
        fills,
        13_000.0,
        "end",
        CAME,
        "500,000 people enter a room in a minute, and leave it",
    );
}

/// What becomes of each second's callbacks.
fn zoom(
    svg: &mut String,
    frame: &Frame,
    title: &str,
    stack: &Stack,
    played: &Played,
    minute: Range<usize>,
) {
    let start = minute.start as f64;
    let times = [0.0, 30.0, 60.0, 90.0, 120.0].map(|after| (start + after, format!("{after} s")));
    frame.axes(svg, title, &[0.0, 10_000.0, 20_000.0], &times);
    let seconds = frame.seconds.start as usize..frame.seconds.end as usize;
    let bars = |from: fn(&Second) -> f64, to: fn(&Second) -> f64| {
        seconds.clone().map(move |at| {
            let second = &played.seconds[at];
            (at as f64, from(second), to(second))
        })
    };
    frame.bars(svg, bars(|_| 0.0, |second| second.stored), STORED);
    frame.bars(svg, bars(|second| second.stored, |second| second.stored + second.queued), QUEUED);
    frame.bars(
        svg,
        bars(
            |second| second.stored + second.queued,
            |second| second.stored + second.queued + second.refused,
        ),
        REFUSED,
    );
    frame.limit(svg, stack.gateway_rate, "API Gateway", End::Right);
}

/// What the colors of [`zoom`] mean.
fn legend(svg: &mut String) {
    let colors = [(STORED, "stored"), (QUEUED, "to the queue"), (REFUSED, "refused")];
    for (place, (color, name)) in colors.into_iter().enumerate() {
        let (x, y) = (60.0 + 110.0 * place as f64, 366.0);
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"10\" height=\"10\" fill=\"{color}\"/>\
             <text x=\"{:.1}\" y=\"{y:.1}\">{name}</text>",
            y - 9.0,
            x + 15.0
        );
    }
}
