//! nix-cpio-generator ROOT CACHE OUTPUT: writes the closure of a store path as nix-netboot-serve sends it, with one
//! archive for each store path. Packs two archives at a time. The folder CACHE keeps the archives.

use std::path::{Path, PathBuf};

use futures::StreamExt;
use nix_cpio_generator::cpio_cache::CpioCache;
use nix_cpio_generator::stream::stream;
use tokio::io::AsyncWriteExt;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [root, cache, output] = &arguments[..] else {
        panic!("usage: nix-cpio-generator ROOT CACHE OUTPUT");
    };
    let cache = CpioCache::new(cache.clone(), Some(2), 100 << 30).expect("a cache");
    let (_, archives) = stream(&cache, Path::new(root)).await.expect("archives");
    let mut archives = Box::pin(archives);
    let mut file = tokio::fs::File::create(output).await.expect("an output");
    while let Some(bytes) = archives.next().await {
        file.write_all(&bytes.expect("bytes")).await.expect("room");
    }
    file.flush().await.expect("room");
}
