//! The scripts that machines get from the server.
//!
//! [`entry`] is the same for all: iPXE puts in what the machine says of itself, and asks for the machine's own script.
//! That is the one of [`storeboot::machine_script`], or [`later`] or [`refusal`].

/// The path of [`entry`].
pub const ENTRY: &str = "/boot.ipxe";
/// The path of a machine's own script.
pub const MACHINE: &str = "/machine.ipxe";
/// What a machine's own script gets to know, by [`entry`]: names of the query, and iPXE's settings.
pub const QUERY: [(&str, &str); 5] = [
    ("mac", "${mac:hexhyp}"),
    ("uuid", "${uuid}"),
    ("serial", "${serial:uristring}"),
    ("platform", "${platform}"),
    ("arch", "${buildarch}"),
];

/// The script that each machine gets first. It asks again for as long as the server is away or has nothing to boot: ten
/// minutes at least.
pub fn entry() -> String {
    let query: Vec<String> = QUERY
        .iter()
        .map(|(name, setting)| format!("{name}={setting}"))
        .collect();
    format!(
        "#!ipxe\n\
         set storeboot-tries:int32 0\n\
         :ask\n\
         chain {MACHINE}?{} ||\n\
         inc storeboot-tries\n\
         iseq ${{storeboot-tries}} 120 && goto give-up ||\n\
         echo storeboot: nothing was started. The next try is in 5 seconds.\n\
         sleep 5\n\
         goto ask\n\
         \n\
         :give-up\n\
         echo storeboot: nothing was started in 120 tries.\n\
         exit 1\n",
        query.join("&")
    )
}

/// The script of a machine whose system is still being built.
pub fn later(what: &str) -> String {
    format!(
        "#!ipxe\necho storeboot: {} is being built. The next try is in 2 seconds.\nsleep 2\nexit 1\n",
        printable(what)
    )
}

/// The script of a machine that gets nothing, with the reason.
pub fn refusal(reason: &str) -> String {
    format!(
        "#!ipxe\necho storeboot: {}\nsleep 10\nexit 1\n",
        printable(reason)
    )
}

/// The script of a machine that asked for a system by a URL of its own, and cannot have it yet: it says why, and asks
/// there again. `path` is the URL's path and query.
pub fn again(reason: &str, path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/?&=%-_.~+:,".contains(c);
    // iPXE would read more into other characters.
    let path = match path.chars().all(is_plain) && !path.contains("&&") {
        true => path,
        false => path.split('?').next().unwrap_or_default(),
    };
    format!(
        "#!ipxe\necho storeboot: {}\necho storeboot: the next try is in 5 seconds.\nsleep 5\n\
         chain --replace {}\n",
        printable(reason),
        path.chars().filter(|c| is_plain(*c)).collect::<String>()
    )
}

/// The text as words that iPXE prints and does not act on.
fn printable(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_graphic() && !"${}|&;#\\".contains(c);
    let plain = text
        .chars()
        .map(|c| if c == ' ' || is_plain(c) { c } else { '?' });
    plain.take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_asks_for_the_machine() {
        assert!(entry().contains("\nchain /machine.ipxe?mac=${mac:hexhyp}&uuid=${uuid}&serial="));
    }

    #[test]
    fn who_asks_again_asks_at_the_same_place() {
        let script = again("no", "/dispatch/profile/a?cmdline_suffix_args=a%20b&x=y");
        assert!(
            script
                .ends_with("\nchain --replace /dispatch/profile/a?cmdline_suffix_args=a%20b&x=y\n")
        );
        let script = again("no", "/dispatch/profile/a?x=${y}&&shell");
        assert!(
            script.ends_with("\nchain --replace /dispatch/profile/a\n"),
            "{script}"
        );
    }

    #[test]
    fn reasons_are_no_commands() {
        let script = refusal("no ${x} && shell\nexit");
        assert_eq!(
            script,
            "#!ipxe\necho storeboot: no ??x? ?? shell?exit\nsleep 10\nexit 1\n"
        );
    }
}
