//! One client: stage 1's download, with a sink that only adds up what comes.

use std::convert::Infallible;

use anyhow::{Result, ensure};
use storeboot_fetch::{Limits, Plan, Sink, download};
use storeboot_tests::fetch_client::FetchClient;

use crate::image::{Image, PATH, sum};

/// Fetches the image from a place, and prints how many bytes came and their sum.
pub fn run(image: &Image, place: &str) -> Result<()> {
    let plan = Plan {
        images: vec![storeboot_fetch::Image {
            path: PATH,
            size: image.size,
            chunks: &image.hashes,
            present: Vec::new(),
            later: Vec::new(),
        }],
        places: vec![place.parse()?],
        limits: Limits::default(),
    };
    let mut machine = FetchClient::default();
    let mut sums = Sums::default();
    let summary = download(&plan, &mut machine, &mut sums)?;
    for trouble in &machine.troubles {
        eprintln!("{trouble}");
    }
    ensure!(summary.wrong == 0, "{} chunks came wrong", summary.wrong);
    println!("{} {:016x}", sums.bytes, sums.sum);
    Ok(())
}

#[derive(Default)]
struct Sums {
    bytes: u64,
    sum: u64,
}

impl Sink for Sums {
    type Error = Infallible;

    fn keep(&mut self, _: usize, offset: u64, chunk: &[u8]) -> Result<(), Infallible> {
        self.bytes += chunk.len() as u64;
        self.sum = self.sum.wrapping_add(sum(offset, chunk));
        Ok(())
    }
}
