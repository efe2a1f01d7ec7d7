//! Size against time as a picture.

use std::fmt::Write;

use crate::contenders::Series;
use crate::measure::Measured;

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

/// Seconds to the right by powers of ten, bytes upwards.
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
