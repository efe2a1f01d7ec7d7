//! The iPXE scripts of a netboot directory.
//!
//! They have to run on iPXE 1.0 and 2.0, built for BIOS or UEFI, with the commands that are in every build.

use super::scripts::COMMAND_LINE_MAX;
use crate::Error;

/// Seconds between a download that failed and the next one.
const PAUSE: u32 = 5;

/// A setting that no script sets, which iPXE expands to nothing. A word that begins with it means nothing to iPXE.
const NOTHING: &str = "${storeboot-nothing}";
/// A blank that separates no words.
const BLANK: &str = "${storeboot-blank:string}";

/// What a script does when files cannot be loaded, or when the kernel does not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Waits for a key after a few tries: somebody may look at the screen, and nothing else would be tried.
    Key,
    /// Tries for ten minutes. Goes back to what started it after another minute, or at a key: that asks the server again.
    Back,
}

impl Ending {
    /// How often it tries to load files, in all.
    fn tries(self) -> u32 {
        match self {
            Self::Key => 5,
            Self::Back => 120,
        }
    }

    fn command(self) -> &'static str {
        match self {
            Self::Key => "prompt storeboot: press a key to go back to what started this script.",
            Self::Back => {
                "prompt --timeout 60000 storeboot: a key, or a minute, leads back to what started this script. ||"
            }
        }
    }
}

/// What a script of layout `fetch` adds to the command line: how iPXE is on the network, and the place of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fetch {
    /// Whether the command line names the place already.
    pub(super) has_url: bool,
}

/// What the words of [`Fetch`] may take of the command line.
const FETCH_LENGTH: usize = 400;

impl Fetch {
    /// The lines that set `storeboot-place` and `storeboot-network`.
    ///
    /// `${cwduri}` is the folder of this script, in iPXE 2. Without a place stage 1 says what is missing, but here it is
    /// told sooner; `${cmdline}` may have it, so a script that is given one goes on.
    fn settings(self) -> String {
        let place = match self.has_url {
            true => "",
            false => {
                "\
                # Stage 1 fetches the store from ${store-url}, which a script that chains to this one may set, or else\n\
                # from the place of this script. iPXE 1 does not know that place.\n\
                isset ${store-url} && goto place ||\n\
                isset ${cwduri} && set store-url ${cwduri} ||\n\
                isset ${store-url} && goto place ||\n\
                isset ${cmdline} && goto network ||\n\
                echo storeboot: this iPXE does not tell where the store is. Set store-url, or build with --store-url.\n\
                goto stop\n\
                \n\
                :place\n\
                set storeboot-place storeboot.store=${store-url}\n\
                \n\
                :network\n"
            }
        };
        format!(
            "{place}\
             # Stage 1 takes over the address, the gateway and the name server.\n\
             isset ${{ip}} && set storeboot-network ip=${{ip}}::${{gateway}}:${{netmask}}:::none BOOTIF=01-${{mac:hexhyp}} ||\n\
             isset ${{ip}} && isset ${{dns}} && set storeboot-network ${{storeboot-network}} nameserver=${{dns}} ||\n\
             \n"
        )
    }
}

/// The script `name`, which boots from the place that it came from, with these files as the initrd, in this order.
///
/// UEFI kernels find the files by `initrd=` and the last part of their names; BIOS ignores that.
///
/// With `checked`, iPXE starts them only where the file `NAME.sig` beside each is a signature that it trusts.
///
/// # Errors
/// Where iPXE or the kernel would change or cut the command line.
pub(super) fn ipxe_script(
    name: &str,
    kernel: &str,
    command_line: &str,
    initrds: &[&str],
    fetch: Option<Fetch>,
    checked: bool,
    ending: Ending,
) -> Result<String, Error> {
    let (tries, end) = (ending.tries(), ending.command());
    let base = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    // Another download would not make it right, so it is not tried again.
    let check = |name: &str| match checked {
        true => format!("imgverify {} {name}.sig || goto untrusted\n", base(name)),
        false => String::new(),
    };
    let named: String = initrds
        .iter()
        .map(|name| format!(" initrd={}", base(name)))
        .collect();
    // On UEFI, iPXE puts the kernel's name in front. The blank before what `${cmdline}` adds is there anyway.
    let added = fetch.map_or(0, |_| FETCH_LENGTH);
    let length = kernel.len() + 1 + command_line.len() + named.len() + added + 1;
    if length > COMMAND_LINE_MAX {
        return Err(Error::CommandLine(format!(
            "it has {} bytes, {name} makes {length} of them with the names of the kernel and of {} files of the initrd, \
             and the kernel takes {COMMAND_LINE_MAX}",
            command_line.len(),
            initrds.len(),
        )));
    }
    let quoted = quoted(command_line)?;
    let blank = match quoted.contains(BLANK) {
        true => "set storeboot-blank:hex 20\n",
        false => "",
    };
    let loaded: String = initrds
        .iter()
        .enumerate()
        .map(|(number, name)| {
            format!(
                "\n:initrd-{number}\n\
                 set storeboot-step initrd-{number}\n\
                 initrd {name} || goto failed\n\
                 {}",
                check(name)
            )
        })
        .collect();
    let (settings, words) = match fetch {
        None => (String::new(), ""),
        Some(fetch) => (fetch.settings(), " ${storeboot-place} ${storeboot-network}"),
    };
    let (trust, untrusted) = match checked {
        true => (
            "# From here on, iPXE starts nothing whose signature it has not checked.\n\
             imgtrust --permanent || goto untrusted\n",
            ":untrusted\n\
             echo storeboot: this iPXE has no imgverify, or does not trust the file. What it says of it is above.\n\
             goto stop\n\
             \n",
        ),
        false => ("", ""),
    };
    let check_kernel = check(kernel);
    Ok(format!(
        "#!ipxe\n\
         # Scripts that chain to this one, such as netboot.xyz's, pass more arguments in ${{cmdline}}.\n\
         set storeboot-failures:int32 0\n\
         {blank}\
         {trust}\
         {settings}\
         \n\
         :kernel\n\
         set storeboot-step kernel\n\
         kernel {kernel} {quoted}{named}{words} ${{cmdline}} || goto failed\n\
         {check_kernel}\
         {loaded}\n\
         boot ||\n\
         echo storeboot: the kernel does not start. What iPXE and the kernel say of it is above.\n\
         goto stop\n\
         \n\
         # iPXE drops a file that did not come whole, and keeps those that did. So only that file is loaded again.\n\
         :failed\n\
         inc storeboot-failures\n\
         iseq ${{storeboot-failures}} {tries} && goto give-up ||\n\
         echo storeboot: a download failed. The next try is in {PAUSE} seconds.\n\
         sleep {PAUSE}\n\
         goto ${{storeboot-step}}\n\
         \n\
         {untrusted}\
         :give-up\n\
         echo storeboot: {tries} downloads failed. What iPXE says of them is above.\n\
         \n\
         :stop\n\
         {end}\n\
         imgfree\n\
         exit 1\n"
    ))
}

/// The command line as iPXE has to read it to hand on just that.
///
/// iPXE splits a line at blanks, ends a command at the words `&&`, `||` and `;`, and a line at a word that begins with
/// `#`; then it expands `${…}` in each word, and joins the words with one blank each (`src/core/exec.c`).
fn quoted(command_line: &str) -> Result<String, Error> {
    let refuse = |reason: &str| Err(Error::CommandLine(reason.into()));
    // It is expanded until nothing is left to expand (`expand_settings` in `src/core/settings.c`), so that no way of
    // writing comes out as this.
    if let Some((_, behind)) = command_line.split_once("${")
        && behind.contains('}')
    {
        return refuse("it holds ${…}, which iPXE replaces by the value of a setting");
    }
    if !command_line.is_ascii() {
        return refuse(
            "it holds characters beyond ASCII, which iPXE does not hand on to a kernel that UEFI starts",
        );
    }
    let mut quoted = String::with_capacity(command_line.len());
    let mut rest = command_line;
    while !rest.is_empty() {
        let (word, behind) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
        if word.starts_with('#') || matches!(word, "&&" | "||" | ";") {
            quoted.push_str(NOTHING);
        }
        quoted.push_str(word);
        rest = behind.trim_start_matches(' ');
        match behind.len() - rest.len() {
            0 => {}
            1 => quoted.push(' '),
            // They count where they are in quotes.
            more => quoted.push_str(&BLANK.repeat(more)),
        }
    }
    Ok(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(command_line: &str, initrds: &[&str]) -> Result<String, String> {
        ipxe_script(
            "netboot.ipxe",
            "bzImage",
            command_line,
            initrds,
            None,
            false,
            Ending::Key,
        )
        .map_err(|error| error.to_string())
    }

    #[test]
    fn signatures_are_checked_right_after_each_file() {
        let script = ipxe_script(
            "netboot.ipxe",
            "bzImage",
            "init=/x",
            &["segments/a", "segments/b"],
            None,
            true,
            Ending::Key,
        );
        let script = script.expect("sound");
        let lines: Vec<&str> = script.lines().collect();
        let trust = lines.iter().position(|line| line.starts_with("imgtrust"));
        let first = lines.iter().position(|line| line.starts_with(":kernel"));
        assert!(trust.is_some() && trust < first, "{script}");
        for (file, check) in [
            ("kernel bzImage ", "imgverify bzImage bzImage.sig"),
            ("initrd segments/a ", "imgverify a segments/a.sig"),
            ("initrd segments/b ", "imgverify b segments/b.sig"),
        ] {
            let at = lines.iter().position(|line| line.starts_with(file));
            let next = lines[at.expect("it is loaded") + 1];
            assert_eq!(next, format!("{check} || goto untrusted"), "{script}");
        }
        assert!(lines.contains(&":untrusted"), "{script}");
    }

    #[test]
    fn a_script_loads_what_it_names() {
        let script = script("init=/x", &["segments/a", "segments/b"]).expect("sound");
        let lines: Vec<&str> = script.lines().collect();
        assert_eq!(lines[0], "#!ipxe");
        let at = |line: &str| {
            let at = lines.iter().position(|found| *found == line);
            at.unwrap_or_else(|| panic!("no {line:?} in {script}"))
        };
        let order = [
            at(":kernel"),
            at("kernel bzImage init=/x initrd=a initrd=b ${cmdline} || goto failed"),
            at(":initrd-0"),
            at("initrd segments/a || goto failed"),
            at(":initrd-1"),
            at("initrd segments/b || goto failed"),
            at("boot ||"),
            at(":failed"),
        ];
        assert!(order.is_sorted(), "{script}");
    }

    #[test]
    fn every_label_that_is_gone_to_is_there_once() {
        let script = script("init=/x", &["a", "b"]).expect("sound");
        let steps = script
            .lines()
            .filter_map(|line| line.strip_prefix("set storeboot-step "));
        let goals = script
            .lines()
            .filter_map(|line| line.split_once("goto "))
            .map(|(_, goal)| goal.split(' ').next().unwrap_or_default())
            .filter(|goal| *goal != "${storeboot-step}");
        for goal in steps.chain(goals) {
            let label = format!(":{goal}");
            let there = script.lines().filter(|line| **line == label).count();
            assert_eq!(there, 1, "{label} in {script}");
        }
    }

    #[test]
    fn what_means_something_to_ipxe_is_quoted() {
        for (line, expected) in [
            ("init=/x a=# ;; a&& $x }{ ${", "init=/x a=# ;; a&& $x }{ ${"),
            ("init=/x #a", "init=/x ${storeboot-nothing}#a"),
            (
                "init=/x && || ;",
                "init=/x ${storeboot-nothing}&& ${storeboot-nothing}|| ${storeboot-nothing};",
            ),
            (
                "init=/x a=\"b  c\"",
                "init=/x a=\"b${storeboot-blank:string}${storeboot-blank:string}c\"",
            ),
            (r"init=/x \ a\", r"init=/x \ a\"),
        ] {
            assert_eq!(quoted(line).expect("sound"), expected);
        }
        let blanks = script("init=/x  a", &["initrd"]).expect("sound");
        assert!(blanks.contains("set storeboot-blank:hex 20\n"), "{blanks}");
    }

    #[test]
    fn what_ipxe_would_change_is_refused() {
        for line in ["init=/x a=${b}", "init=/x ${ }", "init=/x ä"] {
            let error = script(line, &["initrd"]).unwrap_err();
            assert!(error.contains("iPXE"), "{error}");
        }
    }

    #[test]
    fn what_the_script_adds_counts() {
        // On UEFI: `bzImage init=… initrd=initrd `.
        let longest = "x".repeat(COMMAND_LINE_MAX - "bzImage ".len() - " initrd=initrd ".len());
        assert!(script(&longest, &["initrd"]).is_ok());
        let longer = longest.clone() + "x";
        assert!(script(&longer, &["initrd"]).unwrap_err().contains("2048"));
        let error = script(&longest, &["initrd", "more"]).unwrap_err();
        assert!(error.contains("2 files"), "{error}");
    }
}
