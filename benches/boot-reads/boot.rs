//! Boots a candidate once, and reads what the system tells.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use storeboot_benches::processor::processor_time;
use storeboot_tests::http::Site;
use storeboot_tests::qemu::Machine;

use crate::arguments::Arguments;
use crate::candidates::Candidate;

/// The prefix of each line that the system tells.
const MARK: &str = "storeboot-bench: ";

/// What a boot told.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// In the order of the boot.
    pub points: Vec<Point>,
    /// Seconds of processor time that QEMU took, from power-on to power-off.
    pub processor: f64,
    /// The boot profile, if the boot recorded one.
    pub profile: String,
}

/// What was so at one point of the boot.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Its name, such as `multi-user`.
    pub name: String,
    /// Seconds since the kernel's start.
    pub seconds: f64,
    /// Bytes that were read of the store's devices.
    pub read: u64,
    /// Bytes of memory that are available.
    pub available: u64,
    /// Bytes that came over the network.
    pub received: u64,
}

impl Told {
    /// A point by its name.
    pub fn point(&self, name: &str) -> Option<&Point> {
        self.points.iter().find(|point| point.name == name)
    }
}

/// Boots with more words on the command line.
pub fn boot(candidate: &Candidate, arguments: &Arguments, words: &str) -> Result<Told> {
    let serial = arguments
        .work()
        .join(format!("serial-{}", std::process::id()));
    let mut machine = Machine::new()
        .kernel(&candidate.kernel)
        .initrd(&candidate.initrd)
        .append(&candidate.command_line)
        .append(words)
        .memory_mib(arguments.memory);
    for argument in [
        "-cpu",
        &arguments.cpu,
        "-smp",
        &arguments.processors.to_string(),
    ] {
        machine = machine.argument(argument);
    }
    for line in ["mon:stdio", &format!("file:{}", serial.display())] {
        machine = machine.argument("-serial").argument(line);
    }
    let server = candidate
        .netboot
        .as_ref()
        .map(Site::of)
        .map(|site| match arguments.rate {
            Some(rate) => site.rate(rate * 1_000_000),
            None => site,
        })
        .map(Site::serve);
    if let Some(server) = &server {
        machine = machine.append(&format!("storeboot.store={}", server.url("")));
        for argument in [
            "-netdev",
            "user,id=net",
            "-device",
            "virtio-net-pci,netdev=net",
        ] {
            machine = machine.argument(argument);
        }
    }
    let ended = || processor_time(std::process::id()).map(|time| time.ended_children);
    let before = ended()?;
    let boot = machine.boot(Duration::from_secs(arguments.deadline));
    let processor = ended()? - before;
    if !boot.powered_off() {
        bail!("{} does not boot: {boot}", candidate.name);
    }
    let text = fs::read_to_string(&serial).with_context(|| serial.display().to_string())?;
    fs::remove_file(&serial).with_context(|| serial.display().to_string())?;
    let mut told = parse(&text).with_context(|| format!("{} tells {text:?}", candidate.name))?;
    told.processor = processor;
    if told.point("multi-user").is_none() {
        bail!(
            "{} does not reach multi-user.target: {boot}",
            candidate.name
        );
    }
    Ok(told)
}

/// Reads what a system wrote to its second serial port.
fn parse(text: &str) -> Option<Told> {
    let mut told = Told {
        points: Vec::new(),
        processor: 0.0,
        profile: String::new(),
    };
    let mut in_profile = false;
    for line in text.lines() {
        match (line.strip_prefix(MARK), in_profile) {
            (Some("profile"), _) => in_profile = true,
            (Some("end"), _) => in_profile = false,
            (Some(point), _) => told.points.push(parse_point(point)?),
            (None, true) => {
                told.profile.push_str(line);
                told.profile.push('\n');
            }
            (None, false) => return None,
        }
    }
    (!in_profile).then_some(told)
}

fn parse_point(text: &str) -> Option<Point> {
    let words: Vec<&str> = text.split(' ').collect();
    let [name, seconds, read, available, received] = words[..] else {
        return None;
    };
    Some(Point {
        name: name.into(),
        seconds: seconds.parse().ok()?,
        read: read.parse().ok()?,
        available: available.parse::<u64>().ok()? * 1024,
        received: received.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_and_a_profile_are_read() {
        let told = parse(
            "storeboot-bench: stage-2 2.50 1024 900 70\r\n\
             storeboot-bench: multi-user 12.00 4096 800 90\r\n\
             storeboot-bench: profile\r\nstoreboot profile 1\r\na-1/b\r\nstoreboot-bench: end\r\n",
        )
        .expect("it is sound");
        assert_eq!(told.profile, "storeboot profile 1\na-1/b\n");
        assert_eq!(told.points.len(), 2);
        let point = told.point("multi-user").expect("it was reached");
        assert_eq!(
            (point.seconds, point.read, point.available, point.received),
            (12.0, 4096, 800 << 10, 90)
        );
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        for text in [
            "storeboot-bench: stage-2 2.50 1024 900\n",
            "storeboot-bench: profile\nstoreboot profile 1\n",
            "something else\n",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
