//! What the page says of the machines. What machines say of themselves is text here, never markup.

use std::fmt::{self, Display, Write};
use std::sync::LazyLock;

use super::{SCRIPT, STYLE};
use crate::lines::summary;
use crate::size::{percent, rate, size};
use crate::{Progress, Step};

/// So many files are shown with how far each is; the others are counted.
const FILES: usize = 8;

/// Text that HTML shows as it is, in attributes too.
struct Text<T>(T);

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.to_string().chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                character if character.is_control() => f.write_char('\u{fffd}')?,
                character => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// The row of a machine, in one line.
pub fn row(machine: &Progress, now: u64) -> String {
    let mut row = format!(
        "<tr data-machine=\"{0}\"><th scope=\"row\">{0}",
        Text(&machine.machine)
    );
    for more in [
        machine.host_name.clone(),
        machine.platform.clone(),
        // A machine without a MAC is called by its address.
        machine
            .address
            .map(|address| address.to_string())
            .filter(|address| *address != machine.machine),
    ]
    .into_iter()
    .flatten()
    {
        row += &format!("<span class=\"soft\">{}</span>", Text(more));
    }
    row += &format!(
        "</th><td>{}</td><td>{}<span class=\"soft\" data-heard=\"{}\">{}</span></td><td>{}</td>",
        Text(machine.directory.as_deref().unwrap_or("–")),
        last(machine),
        machine.heard,
        age(now.saturating_sub(machine.heard)),
        files(machine),
    );
    let rate = match machine.rate {
        0 => "–".into(),
        bytes => rate(bytes),
    };
    row + &format!("<td class=\"number\">{rate}</td></tr>")
}

fn last(machine: &Progress) -> String {
    let Some(last) = &machine.last else {
        return "–".into();
    };
    let class = match last.step {
        Step::Loaded { .. } => "good",
        Step::Refused { .. } | Step::Broken { .. } => "bad",
        _ => "step",
    };
    format!("<span class=\"{class}\">{}</span>", Text(&last.step))
}

/// How far each file is that the machine does not have yet, and how many it has.
fn files(machine: &Progress) -> String {
    let mut text = String::new();
    let (whole, parts): (Vec<_>, Vec<_>) = machine
        .files
        .iter()
        .partition(|(_, (sent, size))| sent >= size);
    if !whole.is_empty() {
        let bytes = whole.iter().map(|(_, (sent, _))| sent);
        text += &format!(
            "<span class=\"file\">{} loaded, {}</span>",
            whole.len(),
            size(bytes.fold(0, |sum, bytes| sum.saturating_add(*bytes)))
        );
    }
    for (name, (sent, all)) in parts.iter().take(FILES) {
        let percent = percent(*sent, *all);
        text += &format!(
            "<span class=\"file\"><progress max=\"100\" value=\"{percent}\" aria-label=\"{0}\"></progress>{0}: \
             {percent} % of {1}</span>",
            Text(name),
            size(*all)
        );
    }
    if let Some(more) = parts.len().checked_sub(FILES).filter(|more| *more > 0) {
        text += &format!("<span class=\"file\">and {more} more</span>");
    }
    match text.is_empty() {
        true => "–".into(),
        false => text,
    }
}

/// How long ago something was. The script of the page says it in the same words.
fn age(millis: u64) -> String {
    match (millis + 500) / 1000 {
        seconds @ ..120 => format!("{seconds} s ago"),
        seconds @ 120..7200 => format!("{} min ago", seconds / 60),
        seconds => format!("{} h ago", seconds / 3600),
    }
}

/// What is the same on each page.
static SHELL: LazyLock<String> = LazyLock::new(|| {
    include_str!("page.html")
        .replace("{{style}}", STYLE)
        .replace("{{script}}", SCRIPT)
        .replace("{{version}}", env!("CARGO_PKG_VERSION"))
});

/// The whole page.
pub fn page(machines: &[Progress], now: u64) -> String {
    let rows: String = machines.iter().map(|machine| row(machine, now)).collect();
    SHELL
        .replace("{{now}}", &now.to_string())
        .replace("{{summary}}", &summary(machines))
        .replace("{{none}}", if machines.is_empty() { "" } else { " hidden" })
        // Last, since machines may call themselves what they like.
        .replace("{{rows}}", &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mac, Machine, Watch};

    fn machine() -> (Watch, Machine) {
        let machine = Machine {
            mac: Some(Mac([2; 6])),
            address: Some("192.0.2.7".parse().unwrap()),
            ..Machine::default()
        };
        (Watch::default(), machine)
    }

    #[test]
    fn what_a_machine_says_is_no_markup() {
        let (watch, machine) = machine();
        watch.named(&machine, "<script>alert('1')</script>");
        let file = "\"><img src=x onerror=alert(1)>&\n".to_owned();
        watch.sent(machine.address.unwrap(), &file, 1, 4);
        watch.saw(&machine, Step::Loading { file: file.clone() });
        watch.sent(machine.address.unwrap(), &file, 1, 4);
        let row = row(&watch.all()[0], 0);
        for mark in ["<script", "<img", "\n"] {
            assert!(!row.contains(mark), "{row}");
        }
        assert!(row.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"));
        assert!(
            row.contains(
                "aria-label=\"&quot;&gt;&lt;img src=x onerror=alert(1)&gt;&amp;\u{fffd}\""
            )
        );
    }

    #[test]
    fn a_row_says_how_far_the_machine_is() {
        let (watch, machine) = machine();
        let directory = "rescue".to_owned();
        watch.saw(&machine, Step::Script { directory });
        let address = machine.address.unwrap();
        watch.sent(address, "bzImage", 4 << 20, 4 << 20);
        watch.sent(address, "initrd", 25, 100);
        let mut progress = watch.of("02:02:02:02:02:02").unwrap();
        progress.rate = 3 << 20;
        let row = row(&progress, progress.heard + 90_000);
        for text in [
            "<tr data-machine=\"02:02:02:02:02:02\">",
            "<span class=\"soft\">192.0.2.7</span>",
            "<td>rescue</td>",
            "boots rescue",
            ">90 s ago<",
            "1 loaded, 4.0 MiB",
            "<progress max=\"100\" value=\"25\" aria-label=\"initrd\">",
            "initrd: 25 % of 100 B",
            "<td class=\"number\">3.0 MiB/s</td>",
        ] {
            assert!(row.contains(text), "{text} is not in {row}");
        }
        assert_eq!(summary(&[progress]), "1 machine, 1 is loading at 3.0 MiB/s");
    }

    #[test]
    fn a_page_holds_all_that_it_needs() {
        let (watch, machine) = machine();
        let empty = page(&[], 7);
        assert!(empty.contains("<p id=\"none\">") && !empty.contains("{{"));
        let told = Step::Told {
            what: "{{now}} {{rows}}".into(),
        };
        watch.saw(&machine, told);
        let page = page(&watch.all(), 7);
        assert!(page.contains("<p id=\"none\" hidden>"));
        assert!(page.contains(&format!("<style>{STYLE}</style>")));
        assert!(page.contains(&format!("<script>{SCRIPT}</script>")));
        assert!(page.contains("is told {{now}} {{rows}}<"), "{page}");
        for elsewhere in ["src=", "http:", "https:", "@import", "url("] {
            assert!(!page.contains(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn the_files_of_a_row_have_a_bound() {
        let (watch, machine) = machine();
        for number in 0..20 {
            watch.sent(machine.address.unwrap(), &format!("part-{number}"), 1, 2);
        }
        let row = row(&watch.all()[0], 0);
        assert_eq!(row.matches("<progress").count(), FILES);
        assert!(row.contains("and 12 more"), "{row}");
    }
}
