//! Time of a pass over the number of dead containers, both in powers of ten, as SVG.

use crate::results::{Figure, Table, limit, wall};
use crate::scenario::PARALLEL;
use std::fmt::Write;

/// The rows of the picture: how many are dead, at the greatest delay.
const SIZES: [(f64, &str); 3] = [
    (1e3, "dead-1000-5ms"),
    (1e4, "dead-10000-5ms"),
    (1e5, "dead-100000-5ms"),
];
const SIZE: (f64, f64) = (820.0, 520.0);
/// Of the field between the axes.
const LEFT: f64 = 74.0;
const RIGHT: f64 = 640.0;
const TOP: f64 = 84.0;
const BOTTOM: f64 = 456.0;
/// Two labels at one place do not stand closer.
const LINE_HEIGHT: f64 = 17.0;
/// The longest label needs so much.
const LABEL: f64 = 190.0;
const GREY: &str = "#5b6470";
const KUBELET: &str = "#b3261e";
/// crigc with its default keys.
const DEFAULT: &str = "#1b7f3b";
/// From light to dark: more at once.
const BLUES: [&str; 4] = ["#7fb2e5", "#3f8fd8", "#1d66ad", "#0b3f75"];

/// A collector's line.
struct Line {
    name: String,
    colour: &'static str,
    points: Vec<(f64, f64)>,
    limits: Vec<(f64, f64)>,
}

/// Where values come to stand.
struct Axes {
    seconds: (f64, f64),
}

impl Axes {
    fn x(&self, size: f64) -> f64 {
        LEFT + 24.0 + (size.log10() - 3.0) / 2.0 * (RIGHT - LEFT - 48.0)
    }

    fn y(&self, seconds: f64) -> f64 {
        let (low, high) = (self.seconds.0.log10(), self.seconds.1.log10());
        BOTTOM - (seconds.log10() - low) / (high - low) * (BOTTOM - TOP)
    }

    fn path(&self, points: &[(f64, f64)]) -> String {
        let point =
            |(size, seconds): &(f64, f64)| format!("{:.1},{:.1}", self.x(*size), self.y(*seconds));
        points.iter().map(point).collect::<Vec<_>>().join(" ")
    }
}

fn points(table: &Table, collector: &str, figure: Figure) -> Vec<(f64, f64)> {
    let point = |(size, row): &(f64, &str)| Some((*size, table.median(row, collector, figure)?));
    SIZES.iter().filter_map(point).collect()
}

fn lines(table: &Table) -> Vec<Line> {
    let mut lines = vec![Line {
        name: "the kubelet".into(),
        colour: KUBELET,
        points: points(table, "kubelet", wall),
        limits: Vec::new(),
    }];
    lines.push(Line {
        name: "crigc".into(),
        colour: DEFAULT,
        points: points(table, "crigc", wall),
        limits: points(table, "crigc", limit),
    });
    for (parallel, colour) in PARALLEL.iter().zip(BLUES) {
        let collector = format!("crigc-{parallel}");
        lines.push(Line {
            name: format!("crigc, {parallel} at once"),
            colour,
            points: points(table, &collector, wall),
            limits: points(table, &collector, limit),
        });
    }
    lines.retain(|line| !line.points.is_empty());
    lines
}

/// The picture; `None` where nothing of it was measured.
pub fn draw(table: &Table) -> Option<String> {
    let lines = lines(table);
    let values = lines
        .iter()
        .flat_map(|line| line.points.iter().chain(&line.limits));
    let values: Vec<f64> = values.map(|(_, seconds)| *seconds).collect();
    let (low, high) = values.iter().fold((f64::MAX, 0f64), |(low, high), v| {
        (low.min(*v), high.max(*v))
    });
    if values.is_empty() {
        return None;
    }
    let power = |value: f64| 10f64.powf(value);
    let axes = Axes {
        seconds: (power(low.log10().floor()), power(high.log10().ceil())),
    };
    let mut svg = String::new();
    head(&mut svg);
    grid(&mut svg, &axes);
    for line in &lines {
        curve(&mut svg, &axes, line);
    }
    let mut ends = names(&axes, &lines);
    if let Some(end) = failure(&mut svg, table) {
        ends.push(end);
    }
    labels(&mut svg, ends);
    svg.push_str("</svg>\n");
    Some(svg)
}

fn text(svg: &mut String, at: (f64, f64), anchor: &str, style: &str, words: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" {style}>{words}</text>",
        at.0, at.1
    );
}

fn head(svg: &mut String) {
    let (width, height) = SIZE;
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"system-ui, 'DejaVu Sans', Arial, sans-serif\" font-size=\"13\">\n\
         <title>Time of a pass over the number of dead containers</title>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#ffffff\"/>"
    );
    let title = "font-size=\"18\" font-weight=\"600\" fill=\"#1b1f24\"";
    text(
        svg,
        (LEFT, 34.0),
        "start",
        title,
        "Time of a pass, where a removal takes 5 ms",
    );
    let grey = format!("fill=\"{GREY}\"");
    let subtitle =
        "medians; dashed: the limit, removals / how many at once * what one takes in the mean";
    text(svg, (LEFT, 56.0), "start", &grey, subtitle);
    text(
        svg,
        ((LEFT + RIGHT) / 2.0, BOTTOM + 46.0),
        "middle",
        &grey,
        "dead containers on the node",
    );
}

fn grid(svg: &mut String, axes: &Axes) {
    let (low, high) = axes.seconds;
    let mut power = low;
    while power <= high * 1.01 {
        for times in 1..10 {
            let (value, colour) = (
                power * f64::from(times),
                if times == 1 { "#cfd5dc" } else { "#eef1f4" },
            );
            if value <= high * 1.01 {
                let y = axes.y(value);
                let _ = writeln!(
                    svg,
                    "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"{colour}\"/>"
                );
            }
        }
        let unit = if power < 1.0 {
            format!("{power:.1} s")
        } else {
            format!("{power:.0} s")
        };
        text(
            svg,
            (LEFT - 10.0, axes.y(power) + 4.5),
            "end",
            &format!("fill=\"{GREY}\""),
            &unit,
        );
        power *= 10.0;
    }
    for (size, name) in [(1e3, "1,000"), (1e4, "10,000"), (1e5, "100,000")] {
        let x = axes.x(size);
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {TOP}V{BOTTOM}\" stroke=\"#cfd5dc\"/>"
        );
        text(
            svg,
            (x, BOTTOM + 22.0),
            "middle",
            &format!("fill=\"{GREY}\""),
            name,
        );
    }
}

fn curve(svg: &mut String, axes: &Axes, line: &Line) {
    let Line {
        colour,
        points,
        limits,
        ..
    } = line;
    if !limits.is_empty() {
        let path = axes.path(limits);
        let _ = writeln!(
            svg,
            "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.2\" stroke-dasharray=\"4 4\"/>"
        );
    }
    let path = axes.path(points);
    let _ = writeln!(
        svg,
        "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.4\" stroke-linejoin=\"round\"/>"
    );
    for (size, seconds) in points {
        let (x, y) = (axes.x(*size), axes.y(*seconds));
        let _ = writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\" stroke=\"#ffffff\" stroke-width=\"1.5\"/>"
        );
    }
}

/// A label: where its line ends, its colour, its words.
type End = ((f64, f64), &'static str, String);

fn names(axes: &Axes, lines: &[Line]) -> Vec<End> {
    let end = |line: &Line| {
        let (size, seconds) = line.points.last().copied()?;
        let time = if seconds < 10.0 {
            format!("{seconds:.1} s")
        } else {
            format!("{seconds:.0} s")
        };
        Some((
            (axes.x(size), axes.y(seconds)),
            line.colour,
            format!("{}: {time}", line.name),
        ))
    };
    lines.iter().filter_map(end).collect()
}

/// A cross where the kubelet's time would stand if it had not failed.
fn failure(svg: &mut String, table: &Table) -> Option<End> {
    let failed = |row: &str| {
        let runs = table.runs(row, "kubelet");
        !runs.is_empty() && runs.iter().all(|record| !record.error.is_empty())
    };
    let axes = Axes {
        seconds: (1.0, 10.0),
    };
    let (size, _) = SIZES.into_iter().find(|(_, row)| failed(row))?;
    let (x, y) = (axes.x(size), TOP + 12.0);
    let _ = writeln!(
        svg,
        "<path d=\"M{:.1} {:.1}l12 12m0 -12l-12 12\" stroke=\"{KUBELET}\" stroke-width=\"3\" stroke-linecap=\"round\"/>",
        x - 6.0,
        y - 6.0
    );
    Some(((x, y), KUBELET, "the kubelet fails".into()))
}

/// Writes the labels beside the ends of lines, those at one place above each other.
fn labels(svg: &mut String, mut ends: Vec<End>) {
    ends.sort_by(|a, b| a.0.0.total_cmp(&b.0.0).then(b.0.1.total_cmp(&a.0.1)));
    let mut last: Option<(f64, f64)> = None;
    for ((x, y), colour, words) in ends {
        // A line may continue to the right of its label, so the label is a little above it.
        let inside = x < RIGHT - 60.0;
        let wanted = if inside { y - 10.0 } else { y + 4.5 };
        let y = match last {
            Some((there, below)) if there == x => wanted.min(below - LINE_HEIGHT),
            _ => wanted,
        };
        last = Some((x, y));
        let (x, anchor) = if inside && x > LEFT + LABEL {
            (x - 10.0, "end")
        } else {
            (x + 12.0, "start")
        };
        let style = format!(
            "fill=\"{colour}\" font-weight=\"600\" paint-order=\"stroke\" stroke=\"#ffffff\" stroke-width=\"3\" stroke-linejoin=\"round\""
        );
        text(svg, (x, y), anchor, &style, &words);
    }
}
