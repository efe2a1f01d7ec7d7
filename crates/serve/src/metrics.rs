//! Numbers for Prometheus, in its text format, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//!
//! There is no series for each machine: their number has no bound that suits Prometheus. `/machines.json` has each.

use std::fmt::Write;

use crate::{Desk, Step};

/// The kind of [`text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The numbers of this moment, with how many pages are open.
pub fn text(desk: &Desk, pages: usize) -> String {
    let machines = desk.watch.all();
    let totals = desk.watch.totals();
    let mut text = Text::default();
    text.head("build_info", "gauge", "The version of storeboot.");
    text.value("build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);

    text.head("machines", "gauge", "Machines by what each did last.");
    for name in Step::NAMES {
        let count = machines.iter().filter(|machine| {
            let last = machine.last.as_ref();
            last.is_some_and(|last| last.step.name() == name)
        });
        text.value("machines", &[("step", name)], count.count() as u64);
    }

    text.head("loading_machines", "gauge", "Machines that get a file now.");
    let loading = machines.iter().filter(|machine| machine.is_loading());
    text.value("loading_machines", &[], loading.count() as u64);

    text.head("steps_total", "counter", "What machines did.");
    for (name, count) in Step::NAMES.iter().zip(totals.steps) {
        text.value("steps_total", &[("step", name)], count);
    }

    text.head(
        "sent_bytes_total",
        "counter",
        "Bytes of files that were sent to machines.",
    );
    text.value("sent_bytes_total", &[], totals.bytes);

    text.head(
        "open_pages",
        "gauge",
        "Pages in browsers that hear what changes.",
    );
    text.value("open_pages", &[], pages as u64);
    text.0
}

#[derive(Default)]
struct Text(String);

/// What all names begin with.
const PREFIX: &str = "storeboot_serve_";

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let name = format!("{PREFIX}{name}");
        // Writing to a string does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A value with labels, whose values have no quotes, backslashes or line breaks.
    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.0, "{PREFIX}{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Loaders, Machine, Offers, Rules, Sources};

    #[test]
    fn machines_steps_and_bytes_are_counted() {
        let offers = Arc::new(Offers::default());
        let sources = Sources::new(Arc::clone(&offers));
        let desk = Desk::new(offers, sources, Loaders::default(), Rules::default());
        let address = "192.0.2.7".parse().unwrap();
        let machine = Machine {
            address: Some(address),
            ..Machine::default()
        };
        desk.watch.saw(
            &machine,
            Step::Refused {
                reason: "x\"".into(),
            },
        );
        desk.watch.saw(&machine, Step::Loaded { file: "a".into() });
        desk.watch.sent(address, "a", 5, 9);
        let text = text(&desk, 3);
        for line in [
            concat!(
                "storeboot_serve_build_info{version=\"",
                env!("CARGO_PKG_VERSION"),
                "\"} 1"
            ),
            "# TYPE storeboot_serve_machines gauge",
            "storeboot_serve_machines{step=\"refused\"} 0",
            "storeboot_serve_machines{step=\"loaded\"} 1",
            "storeboot_serve_steps_total{step=\"refused\"} 1",
            "# TYPE storeboot_serve_sent_bytes_total counter",
            "storeboot_serve_sent_bytes_total 5",
            "storeboot_serve_open_pages 3",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is not in {text}"
            );
        }
        // Each family says what it is before its first value, and ends with a line break.
        assert_eq!(
            text.matches("# HELP").count(),
            text.matches("# TYPE").count()
        );
        assert!(text.ends_with('\n'));
    }
}
