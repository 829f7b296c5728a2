//! However long a published file is, reading it takes little memory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
#![allow(
    unsafe_code,
    reason = "an allocator that counts cannot be had without it; it hands everything on to the system's"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::File;
use std::io::{Cursor, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rawzip::{CompressionMethod, DataDescriptorOutput, ZipArchiveWriter};
use truyvet::entropy::{Entropy, SeededEntropy};
use truyvet::protocol::bluezone::PublishedEntry;
use truyvet::publication::bluezone_json;
use truyvet::publication::gaen_export::{ExportReader, HEADER, KEYS_MAX, REVISED_KEYS_MAX};
use truyvet::publication::signature::SigningKey;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);

struct Counting;

fn taken(bytes: usize) {
    CALLS.fetch_add(1, Ordering::Relaxed);
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(held, Ordering::Relaxed);
}

fn given_back(bytes: usize) {
    HELD.fetch_sub(bytes, Ordering::Relaxed);
}

// SAFETY: every call is handed on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may be there for a moment.
        taken(size);
        let moved = unsafe { System.realloc(block, layout, size) };
        given_back(layout.size());
        moved
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        given_back(layout.size());
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1 << 20;

/// Tests of this file measure the same memory, and so one after the other.
static TURN: Mutex<()> = Mutex::new(());

/// The bytes that `measured` holds at most beyond what was held before, and how often it asks for some.
fn most_held(measured: impl FnOnce()) -> (usize, u64) {
    let before = HELD.load(Ordering::Relaxed);
    let calls = CALLS.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    measured();
    let calls = CALLS.load(Ordering::Relaxed) - calls;
    (MOST.load(Ordering::Relaxed) - before, calls)
}

/// A signed export of random keys, `revised` of them in the second list, as a file on the disk.
fn export(signer: &SigningKey, new: usize, revised: usize) -> File {
    let mut keys = vec![0; 16 * (new + revised)];
    SeededEntropy::new(3).fill(&mut keys).unwrap();
    let mut bin = HEADER.to_vec();
    // Start and end, a region, batch 1 of 1.
    for (tag, seconds) in [(0x09, 1_600_000_000_u64), (0x11, 1_600_086_400)] {
        bin.push(tag);
        bin.extend(seconds.to_le_bytes());
    }
    bin.extend([0x1A, 2, b'V', b'N', 0x20, 1, 0x28, 1]);
    for (number, key) in keys.chunks(16).enumerate() {
        let list = if number < new { 0x3A } else { 0x42 };
        bin.extend([list, 27, 0x0A, 16]);
        bin.extend(key);
        // Risk 3, interval 2,650,000, period 100.
        bin.extend([0x10, 3, 0x18, 0x90, 0xDF, 0xA1, 0x01, 0x20, 100]);
    }
    let signature = signer.sign(&bin).unwrap();
    let mut sig = vec![
        0x0A,
        (signature.len() + 2) as u8,
        0x22,
        signature.len() as u8,
    ];
    sig.extend(signature);
    let mut archive = ZipArchiveWriter::new(tempfile::tempfile().unwrap());
    for (name, contents) in [("export.bin", bin), ("export.sig", sig)] {
        let (mut entry, _) = archive
            .new_file(name)
            .compression_method(CompressionMethod::STORE)
            .start()
            .unwrap();
        entry.write_all(&contents).unwrap();
        let (crc, len) = (rawzip::crc32(&contents), contents.len() as u64);
        entry.finish(DataDescriptorOutput::new(crc, len)).unwrap();
    }
    archive.finish().unwrap()
}

fn read(file: File, signer: &SigningKey, expected: usize) {
    let mut reader = ExportReader::open(file).unwrap();
    let trusted = [signer.verification_key().clone()];
    let mut export = reader.verify(&trusted).unwrap();
    let mut found = 0;
    while let Some(batch) = export.next_batch().unwrap() {
        found += batch.len();
    }
    assert_eq!((found, export.refused().still_valid), (expected, 0));
}

#[test]
fn a_million_keys_within_16_mib() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let signer = SigningKey::generate().unwrap();
    for (new, revised, limit) in [
        (KEYS_MAX, 0, 2 * MIB),
        (KEYS_MAX - REVISED_KEYS_MAX, REVISED_KEYS_MAX, 16 * MIB),
        // As long as what is kept in memory, and all of it revised.
        (0, 210_000, 16 * MIB),
    ] {
        let file = export(&signer, new, revised);
        let (held, calls) = most_held(|| read(file, &signer, new + revised));
        println!("{new} keys, {revised} revised: {held} bytes in {calls} allocations");
        assert!(held < limit, "{held} bytes for {new} and {revised} keys");
        assert!(
            calls < 1000,
            "{calls} allocations for {new} and {revised} keys"
        );
    }
}

#[test]
fn a_hundred_thousand_bluezone_entries_within_16_mib() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let day = 1_596_844_800;
    let entry = |number: usize| {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(number as u64).to_le_bytes());
        PublishedEntry::new(key, day, day + 86_399, 96).unwrap()
    };
    let entries: Vec<_> = (0..bluezone_json::ENTRIES_MAX).map(entry).collect();
    let json = bluezone_json::write(&entries);
    let (held, calls) = most_held(|| {
        let found = bluezone_json::read(Cursor::new(&json)).unwrap();
        assert_eq!(found, entries);
    });
    println!(
        "{} entries: {held} bytes in {calls} allocations",
        entries.len()
    );
    assert!(held < 16 * MIB, "{held} bytes");
    assert!(calls < 100, "{calls} allocations");
}
