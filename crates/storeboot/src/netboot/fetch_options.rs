//! What layout `fetch` is told: from where stage 1 fetches, where it keeps what it fetched, and by which drivers.

use storeboot_fetch::Url;

use super::Netboot;
use crate::kernel::KernelImage;
use crate::modules::{DriverRequest, DriverSet, collect_drivers};
use crate::{Error, Layout};

impl Netboot {
    /// Refuses what another layout has no use for, and what stage 1 would not understand.
    pub(super) fn check_fetch_options(&self, layout: Layout) -> Result<(), Error> {
        let drivers = [
            (!self.network_modules.is_empty(), "network drivers"),
            (!self.disk_modules.is_empty(), "disk drivers"),
            (self.firmware.is_some(), "firmware"),
        ];
        let places = [
            (!self.store_urls.is_empty(), "a URL of the store"),
            (self.keep.is_some(), "a disk that keeps the store"),
        ];
        let first = |options: &[(bool, &'static str)]| {
            let mut given = options.iter().filter(|(given, _)| *given);
            given.next().map(|(_, option)| *option)
        };
        if layout != Layout::Fetch
            && let Some(option) = first(&drivers).or(first(&places))
        {
            return Err(Error::NotFetched { option, layout });
        }
        if let Some(option) = first(&drivers) {
            if let Some(path) = &self.initrd {
                return Err(Error::ModulesWithInitrd { path: path.clone() });
            }
            if self.modules.is_none() {
                return Err(Error::NoModules { option });
            }
        }
        self.store_urls.iter().try_for_each(|url| check_url(url))?;
        self.keep.iter().try_for_each(|place| check_keep(place))
    }

    /// What these options put on the command line.
    pub(super) fn fetch_arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        if !self.store_urls.is_empty() {
            arguments.push(format!("storeboot.store={}", self.store_urls.join(",")));
        }
        arguments.extend(
            self.keep
                .iter()
                .map(|place| format!("storeboot.keep={place}")),
        );
        arguments
    }

    /// The drivers from which stage 1 chooses. Another stage 1 brings its own.
    pub(super) fn find_drivers(
        &self,
        kernel: &KernelImage,
        layout: Layout,
    ) -> Result<DriverSet, Error> {
        let folder = match &self.modules {
            Some(folder) if layout == Layout::Fetch && self.initrd.is_none() => folder,
            _ => return Ok(DriverSet::default()),
        };
        let or = |words: &[String], default: &[&str]| match words {
            [] => default.iter().map(|word| (*word).to_owned()).collect(),
            words => words.to_vec(),
        };
        let network: Vec<String> = or(&self.network_modules, &["all"]);
        let disk: Vec<String> = match &self.keep {
            Some(_) => or(&self.disk_modules, &["common"]),
            None => self.disk_modules.clone(),
        };
        let request = DriverRequest {
            network: &network,
            disk: &disk,
            firmware: self.firmware.as_deref(),
        };
        let drivers = collect_drivers(folder, &kernel.version.release, &request)?;
        Ok(drivers)
    }
}

/// Whether a command line says where the store is.
pub(crate) fn names_store(command_line: &str) -> bool {
    let mut words = command_line.split_whitespace();
    words.any(|word| word.starts_with("storeboot.store="))
}

/// Stage 1 takes URLs apart at commas, and the kernel takes words apart at quotes.
fn check_url(url: &str) -> Result<(), Error> {
    let refuse = |reason: String| Err(Error::StoreUrl(reason));
    if let Err(error) = url.parse::<Url>() {
        return refuse(error.to_string());
    }
    match url.chars().find(|c| matches!(c, ',' | '"')) {
        None => Ok(()),
        Some(c) => refuse(format!(
            "{url:?} has a {c}, which stage 1 cannot take: write it as %{:02X}",
            u32::from(c)
        )),
    }
}

/// Stage 1 takes these forms only, and the kernel must leave it in one word.
fn check_keep(place: &str) -> Result<(), Error> {
    let named = ["LABEL=", "UUID=", "PARTUUID=", "/dev/"]
        .iter()
        .find_map(|start| place.strip_prefix(start));
    let is_word = |c: char| !c.is_whitespace() && !c.is_control() && c != '"';
    match named {
        Some(name) if !name.is_empty() && place.chars().all(is_word) => Ok(()),
        _ => Err(Error::Keep(place.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetching() -> Netboot {
        let mut netboot = Netboot::new("/kernel", "/nix/store/x/init", "/stage1");
        netboot.modules = Some("/modules".into());
        netboot
    }

    fn check(change: impl FnOnce(&mut Netboot), layout: Layout) -> Result<(), String> {
        let mut netboot = fetching();
        change(&mut netboot);
        let checked = netboot.check_fetch_options(layout);
        checked.map_err(|error| error.to_string())
    }

    type Change = fn(&mut Netboot);

    #[test]
    fn other_layouts_have_no_use_for_the_options() {
        let changes: [Change; 5] = [
            |netboot| netboot.store_urls = vec!["http://h/".into()],
            |netboot| netboot.network_modules = vec!["all".into()],
            |netboot| netboot.disk_modules = vec!["all".into()],
            |netboot| netboot.firmware = Some("/firmware".into()),
            |netboot| netboot.keep = Some("LABEL=store".into()),
        ];
        for change in changes {
            assert_eq!(check(change, Layout::Fetch), Ok(()));
            let error = check(change, Layout::InPlace).unwrap_err();
            assert!(error.contains("the layout is in-place"), "{error}");
        }
        assert_eq!(check(|_| (), Layout::Direct), Ok(()));
    }

    #[test]
    fn drivers_need_modules_and_no_other_stage_1() {
        let error = check(
            |netboot| {
                netboot.network_modules = vec!["all".into()];
                netboot.initrd = Some("/initrd".into());
            },
            Layout::Fetch,
        );
        assert!(error.unwrap_err().contains("loads its own modules"));
        let error = check(
            |netboot| {
                netboot.firmware = Some("/firmware".into());
                netboot.modules = None;
            },
            Layout::Fetch,
        );
        assert!(error.unwrap_err().contains("no folder of modules"));
        let places = check(
            |netboot| {
                netboot.store_urls = vec!["http://h/".into()];
                netboot.keep = Some("/dev/sda1".into());
                netboot.initrd = Some("/initrd".into());
                netboot.modules = None;
            },
            Layout::Fetch,
        );
        assert_eq!(places, Ok(()));
    }

    #[test]
    fn urls_and_disks_that_stage_1_would_not_understand_are_refused() {
        for url in [
            "https://h/",
            "ftp://h/",
            "h/x",
            "http://",
            "http://h/a,http://h/b",
            "http://h/a b",
            "http://h/\"a\"",
        ] {
            assert!(check_url(url).is_err(), "{url}");
        }
        for url in [
            "http://h",
            "http://[::1]:8080/a%2Cb/",
            "http://10.0.2.2/x?y=z",
        ] {
            assert!(check_url(url).is_ok(), "{url}");
        }
        for place in [
            "",
            "LABEL=",
            "/dev/",
            "sda1",
            "ID=1",
            "LABEL=a b",
            "LABEL=\"a\"",
            "/dev/\tsda",
        ] {
            assert!(check_keep(place).is_err(), "{place}");
        }
        for place in [
            "LABEL=store",
            "UUID=1-2",
            "PARTUUID=1-2",
            "/dev/disk/by-id/x",
        ] {
            assert!(check_keep(place).is_ok(), "{place}");
        }
    }

    #[test]
    fn stage_1_is_told_the_places() {
        let mut netboot = fetching();
        assert!(netboot.fetch_arguments().is_empty());
        netboot.store_urls = vec!["http://a/".into(), "http://b/".into()];
        netboot.keep = Some("LABEL=store".into());
        let expected = [
            "storeboot.store=http://a/,http://b/",
            "storeboot.keep=LABEL=store",
        ];
        assert_eq!(netboot.fetch_arguments(), expected);
    }
}
