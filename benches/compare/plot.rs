//! Draws size against time, and busy cores over time.

use std::fmt::Write;

use crate::contenders::Series;
use crate::measure::{Measured, STEP};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 460.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 50.0;
const SERIES: [(Series, &str, &str); 4] = [
    (Series::StorebootImage, "#0b6e4f", "storeboot, squashfs"),
    (Series::Mksquashfs, "#b23a48", "mksquashfs"),
    (Series::StorebootDirect, "#1b6ca8", "storeboot, direct"),
    (Series::Cpio, "#c77d0a", "cpio, zstd"),
];

/// Draws bytes over seconds, with a logarithmic time axis.
pub fn svg(measured: &[Measured]) -> String {
    let points: Vec<&Measured> = measured
        .iter()
        .filter(|row| row.series != Series::None)
        .collect();
    let sizes = || points.iter().map(|row| row.size as f64 / 1e6);
    let low = (sizes().fold(f64::INFINITY, f64::min) / 10.0).floor() * 10.0;
    let high = (sizes().fold(0.0, f64::max) / 10.0).ceil() * 10.0;
    let x = |seconds: f64| LEFT + (seconds.max(1.0).log10() / 2.5) * (WIDTH - LEFT - 20.0);
    let y = |size: f64| {
        HEIGHT - BOTTOM - (size - low) / (high - low).max(1.0) * (HEIGHT - BOTTOM - 20.0)
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    let mut put = |line: String| {
        svg.push_str(&line);
        svg.push('\n');
    };
    for seconds in [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0] {
        let x = x(seconds);
        put(format!(
            "<line x1=\"{x:.1}\" y1=\"20\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>",
            HEIGHT - BOTTOM
        ));
        put(format!(
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{seconds} s</text>",
            HEIGHT - BOTTOM + 18.0
        ));
    }
    let mut size = low;
    while low < high && size <= high {
        let y = y(size);
        put(format!(
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{WIDTH}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>"
        ));
        put(format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{size:.0} MB</text>",
            LEFT - 6.0,
            y + 4.0
        ));
        size += 10.0;
    }
    for (number, (series, colour, name)) in SERIES.into_iter().enumerate() {
        let mut row: Vec<&&Measured> = points.iter().filter(|row| row.series == series).collect();
        row.sort_by(|a, b| a.cost.wall.total_cmp(&b.cost.wall));
        let mut line = String::new();
        for point in &row {
            let (x, y) = (x(point.cost.wall), y(point.size as f64 / 1e6));
            let _ = write!(line, "{x:.1},{y:.1} ");
            put(format!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"><title>{}</title></circle>",
                point.name
            ));
        }
        put(format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            line.trim_end()
        ));
        let y = 36.0 + number as f64 * 20.0;
        put(format!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>",
            WIDTH - 190.0,
            y - 11.0
        ));
        put(format!(
            "<text x=\"{:.1}\" y=\"{y:.1}\">{name}</text>",
            WIDTH - 172.0
        ));
    }
    svg + "</svg>\n"
}

/// Draws the busy cores over the time of a run, one strip for each of these rows.
pub fn cores(measured: &[Measured], names: &[&str]) -> String {
    const STRIP: f64 = 150.0;
    let rows: Vec<&Measured> = measured
        .iter()
        .filter(|row| names.contains(&row.name))
        .collect();
    let steps = rows
        .iter()
        .map(|row| row.trace.len())
        .max()
        .unwrap_or(0)
        .max(1) as f64;
    let most = rows
        .iter()
        .flat_map(|row| &row.trace)
        .fold(1.0_f64, |most, cores| most.max(*cores))
        .ceil();
    let height = STRIP * rows.len() as f64 + 20.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (number, row) in rows.iter().enumerate() {
        let floor = STRIP * (number + 1) as f64 - 20.0;
        let y = |cores: f64| floor - cores / most * (STRIP - 50.0);
        let x = |step: usize| LEFT + step as f64 / steps * (WIDTH - LEFT - 20.0);
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"{:.1}\">{}, {:.1} s</text>",
            floor - STRIP + 42.0,
            row.name,
            row.cost.wall
        );
        for cores in 0..=most as u32 {
            let y = y(cores.into());
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{WIDTH}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>"
            );
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{cores} cores</text>",
                LEFT - 6.0,
                y + 4.0
            );
        }
        let points: String = row
            .trace
            .iter()
            .enumerate()
            .map(|(step, cores)| format!("{:.1},{:.1} ", x(step), y(*cores)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"#0b6e4f\" stroke-width=\"1.5\"/>",
            points.trim_end()
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{:.1}\">{:.0} s from left to right</text>",
        height - 6.0,
        steps * STEP.as_secs_f64()
    );
    svg + "</svg>\n"
}
