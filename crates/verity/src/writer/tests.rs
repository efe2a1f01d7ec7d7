use std::io::Cursor;

use proptest::prelude::*;

use super::*;

/// Data in which no block is like another.
fn data(blocks: usize) -> Vec<u8> {
    let mut data = vec![0; blocks * BLOCK];
    for (number, block) in data.chunks_mut(BLOCK).enumerate() {
        block[..8].copy_from_slice(&(number as u64).to_le_bytes());
    }
    data
}

fn hash(salt: &[u8], block: &[u8]) -> [u8; DIGEST] {
    Sha256::digest([salt, block].concat()).into()
}

/// The tree and the root hash as the definition has them, with everything in memory.
fn by_definition(data: &[u8], salt: &[u8]) -> (Vec<u8>, [u8; DIGEST]) {
    let mut level = data.to_vec();
    let mut tree = Vec::new();
    while level.len() > BLOCK {
        let mut above: Vec<u8> = level.chunks(BLOCK).flat_map(|b| hash(salt, b)).collect();
        above.resize(above.len().next_multiple_of(BLOCK), 0);
        tree.splice(0..0, above.iter().copied());
        level = above;
    }
    (tree, hash(salt, &level))
}

fn tree(data: &[u8], salt: &[u8], piece: usize, start: u64) -> (Vec<u8>, [u8; DIGEST]) {
    let shape = Shape::of(data.len() as u64).expect("whole blocks");
    let mut out = Cursor::new(Vec::new());
    let mut writer = TreeWriter::new(shape, salt, &mut out, start).expect("a tree");
    for piece in data.chunks(piece) {
        writer.write_all(piece).expect("memory");
    }
    let root = writer.finish().expect("all data");
    (out.into_inner(), root)
}

#[test]
fn every_number_of_levels_is_as_defined() {
    for blocks in [1, 2, 127, 128, 129, 2048, 2049, 16_384, 16_385] {
        let data = data(blocks);
        let made = tree(&data, b"salt", 1 << 20, 0);
        assert!(made == by_definition(&data, b"salt"), "{blocks} blocks");
        let shape = Shape::of(data.len() as u64).expect("whole blocks");
        assert_eq!(made.0.len() as u64, shape.tree_size(), "{blocks} blocks");
        if blocks >= 2048 {
            assert!(shape.tree_size() * 100 <= shape.data_size());
        }
    }
}

#[test]
fn a_tree_behind_its_data_leaves_the_data_alone() {
    let data = data(130);
    let start = data.len();
    let shape = Shape::of(start as u64).expect("whole blocks");
    let mut out = Cursor::new(data.clone());
    let mut writer = TreeWriter::new(shape, b"", &mut out, start as u64).expect("a tree");
    writer.write_all(&data).expect("memory");
    writer.finish().expect("all data");
    let (before, behind) = out.get_ref().split_at(start);
    assert!(before == data);
    assert!(behind == by_definition(&data, b"").0);
}

#[test]
fn what_cannot_be_is_refused() {
    for size in [0, 1, 4095, 4097] {
        assert!(matches!(Shape::of(size), Err(Error::DataSize(_))), "{size}");
    }
    let shape = Shape::of(2 * BLOCK as u64).expect("whole blocks");
    let begin = |salt: &[u8], start| TreeWriter::new(shape, salt, Cursor::new(Vec::new()), start);
    assert!(begin(&[0; MAX_SALT], 0).is_ok());
    assert!(matches!(
        begin(&[0; MAX_SALT + 1], 0).err(),
        Some(Error::Salt(257))
    ));
    assert!(matches!(begin(b"", 1).err(), Some(Error::Place(1))));
    let far = u64::MAX - 4095;
    assert!(matches!(begin(b"", far).err(), Some(Error::Place(_))));

    let mut writer = begin(b"", 0).expect("a tree");
    writer.write_all(&[0; BLOCK]).expect("memory");
    let error = writer.finish().expect_err("half the data");
    assert_eq!(
        error.to_string(),
        "4096 bytes came, and the tree is for 8192"
    );
    let mut writer = begin(b"", 0).expect("a tree");
    assert!(writer.write_all(&[0; 2 * BLOCK + 1]).is_err());
    let largest = Shape::of(u64::MAX - 4095).expect("whole blocks");
    assert!(largest.tree_size() > largest.data_size() / 128);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn pieces_and_threads_do_not_matter(
        blocks in 1..4200_usize,
        piece in 1000..3_000_000_usize,
        threads in 1..5_usize,
        salt in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let data = data(blocks);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        let made = pool.install(|| tree(&data, &salt, piece, 0));
        prop_assert!(made == by_definition(&data, &salt));
    }
}
