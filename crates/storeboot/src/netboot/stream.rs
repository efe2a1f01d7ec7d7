//! What a store that is fetched while the system runs does not go with.

use super::Netboot;
use crate::kernel::KernelVersion;
use crate::{Error, Layout};

impl Netboot {
    /// Refuses to let stage 2 start before the whole store is there, where stage 1 could not, or where it would serve
    /// nothing.
    pub(super) fn check_stream(&self, layout: Layout, kernel: &KernelVersion) -> Result<(), Error> {
        if !self.stream {
            return Ok(());
        }
        if layout != Layout::Fetch {
            let option = "a store that is fetched while the system runs";
            return Err(Error::NotFetched { option, layout });
        }
        // NixOS's module puts what it is asked for on the command line by itself.
        let says = |word: &dyn Fn(&str) -> bool| self.command_line.split_whitespace().any(word);
        let keeps = |word: &str| {
            let place = word.strip_prefix("storeboot.keep=");
            place.is_some_and(|place| !place.is_empty())
        };
        let reasons = [
            (
                !kernel.at_least(5, 4),
                "Linux before 5.4 gives up a network block device whose read waits for half a minute",
            ),
            (
                self.profile.is_none(),
                "there is no boot profile, by which stage 1 knows what stage 2 begins with",
            ),
            (
                self.initrd.is_some(),
                "another stage 1 ends the network and the process that fetches; use storeboot's stage 1",
            ),
            (
                self.verify_at_boot || says(&|word| word == "storeboot.verify"),
                "all of it is to be checked before the boot, and then all of it must be there; chunks are checked as they \
                 arrive in any case, and hash trees of dm-verity check each block that is read",
            ),
            (
                self.keep.is_some() || says(&keeps),
                "a disk is to keep it, and keeps whole images only: the first boot fetches all of it, and later ones \
                 nothing",
            ),
        ];
        match reasons.iter().find(|(applies, _)| *applies) {
            None => Ok(()),
            Some((_, reason)) => Err(Error::Stream(reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Netboot), layout: Layout) -> Result<(), String> {
        check_on("6.12.95", change, layout)
    }

    fn check_on(
        release: &str,
        change: impl FnOnce(&mut Netboot),
        layout: Layout,
    ) -> Result<(), String> {
        let kernel: KernelVersion = release.parse().expect("a version");
        let mut netboot = Netboot::new("/kernel", "/nix/store/x/init", "/stage1");
        netboot.stream = true;
        netboot.profile = Some("/boot.profile".into());
        change(&mut netboot);
        let checked = netboot.check_stream(layout, &kernel);
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn streaming_is_for_layout_fetch() {
        assert_eq!(check(|_| (), Layout::Fetch), Ok(()));
        for layout in [Layout::File, Layout::InPlace, Layout::Direct] {
            let error = check(|_| (), layout).unwrap_err();
            assert!(
                error.contains(&format!("the layout is {layout}")),
                "{error}"
            );
            assert_eq!(check(|netboot| netboot.stream = false, layout), Ok(()));
        }
    }

    #[test]
    fn old_kernels_are_refused() {
        let error = check_on("5.3.18", |_| (), Layout::Fetch).unwrap_err();
        assert!(error.contains("before 5.4"), "{error}");
        assert_eq!(check_on("5.4.0", |_| (), Layout::Fetch), Ok(()));
    }

    #[test]
    fn what_it_does_not_go_with_is_named() {
        type Change = fn(&mut Netboot);
        let changes: [(Change, &str); 6] = [
            (|netboot| netboot.profile = None, "no boot profile"),
            (
                |netboot| netboot.initrd = Some("/initrd".into()),
                "another stage 1",
            ),
            (
                |netboot| netboot.verify_at_boot = true,
                "checked before the boot",
            ),
            (
                |netboot| netboot.command_line = "quiet storeboot.verify".into(),
                "checked before the boot",
            ),
            (
                |netboot| netboot.keep = Some("LABEL=store".into()),
                "a disk is to keep it",
            ),
            (
                |netboot| netboot.command_line = "storeboot.keep=LABEL=store".into(),
                "a disk is to keep it",
            ),
        ];
        for (change, reason) in changes {
            let error = check(change, Layout::Fetch).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        let others = |netboot: &mut Netboot| {
            netboot.command_line = "storeboot.keep= storeboot.verity=panic".into();
            netboot.verity = true;
            netboot.store_urls = vec!["http://h/".into()];
        };
        assert_eq!(check(others, Layout::Fetch), Ok(()));
    }
}
