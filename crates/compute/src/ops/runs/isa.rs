//! Instruction sets, and the few steps that each does in its own way. All give the same bits.

use exavox_io::Element;

#[cfg(target_arch = "x86_64")]
mod x86;

/// Labels that painting 64 voxels may look at: one for each, the one before, and some more at the end.
pub(in crate::ops) const NEAR: usize = 80;

/// Steps that differ between instruction sets.
pub(in crate::ops) trait Isa: Copy + Send + Sync {
    /// 64 flags of 0 or 1 as bits, the first lowest.
    fn pack(self, flags: &[u8; 64]) -> u64;

    /// Bits of the places where 64 integers are the same as 64 others.
    #[inline(always)]
    fn same<T: Element>(self, a: &[T; 64], b: &[T; 64]) -> u64 {
        let mut flags = [0; 64];
        for ((flag, a), b) in flags.iter_mut().zip(a).zip(b) {
            *flag = u8::from(a == b);
        }
        self.pack(&flags)
    }

    /// Gives 64 voxels the labels of their runs, and 0 to those outside of `mask`. `labels` begins with
    /// the label of the run that goes on from the word before, and holds at least [`NEAR`] values.
    fn paint(self, mask: u64, starts: u64, labels: &[u32], out: &mut [u32; 64]);

    /// Adds a pair of runs for each mark: those that begin last up to it in two rows.
    fn pairs(self, marks: u64, later: Row, earlier: Row, pairs: &mut PairList);

    /// Gives 64 voxels a value where a bit is set, 0 elsewhere.
    fn spread(self, bits: u64, value: u8, out: &mut [u8; 64]);
}

/// A word of a row: where runs begin, and how many begin before.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct Row {
    pub(super) starts: u64,
    pub(super) before: u32,
}

/// Pairs of runs on their way to the forest: found many at a time, joined one by one.
pub(in crate::ops) struct PairList {
    later: [u32; PAIRS],
    earlier: [u32; PAIRS],
    count: usize,
}

/// Pairs that a list holds: two arrays that stay in the first cache.
const PAIRS: usize = 2048;

impl PairList {
    pub(super) fn new() -> Self {
        Self { later: [0; PAIRS], earlier: [0; PAIRS], count: 0 }
    }

    /// Whether the pairs of another word may not fit: 64, and some more that are written but not kept.
    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        self.count > PAIRS - 80
    }

    /// Calls `join` with all pairs and forgets them.
    #[inline(always)]
    pub(super) fn drain(&mut self, mut join: impl FnMut(usize, usize)) {
        let pairs = self.later.iter().zip(&self.earlier);
        pairs
            .take(self.count)
            .for_each(|(later, earlier)| join(*later as usize, *earlier as usize));
        self.count = 0;
    }

    #[inline(always)]
    fn push(&mut self, later: u32, earlier: u32) {
        self.later[self.count] = later;
        self.earlier[self.count] = earlier;
        self.count += 1;
    }
}

/// A computation to be compiled for each instruction set. Implementations mark `run`, and what it calls
/// in its inner loops, `#[inline(always)]`.
pub(in crate::ops) trait Work {
    /// What comes out.
    type Output;

    /// Does the work.
    fn run<I: Isa>(self, isa: I) -> Self::Output;
}

/// An instruction set that this CPU has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct Level(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
}

impl Level {
    /// The best that this CPU has.
    pub(in crate::ops) fn best() -> Self {
        Self::all().next().unwrap_or(Self(Kind::Portable))
    }

    /// All that this CPU has, best first.
    pub(in crate::ops) fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let wide = [x86::Avx512::detect().map(Kind::Avx512), x86::Avx2::detect().map(Kind::Avx2)];
        #[cfg(not(target_arch = "x86_64"))]
        let wide: [Option<Kind>; 0] = [];
        wide.into_iter().flatten().chain([Kind::Portable]).map(Self)
    }
}

/// Runs `work` with the instructions of a level.
pub(in crate::ops) fn dispatch<W: Work>(level: Level, work: W) -> W::Output {
    match level.0 {
        Kind::Portable => work.run(Portable),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2(isa) => isa.dispatch(work),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512(isa) => isa.dispatch(work),
    }
}

/// Plain Rust.
#[derive(Debug, Clone, Copy)]
struct Portable;

impl Isa for Portable {
    #[inline(always)]
    fn pack(self, flags: &[u8; 64]) -> u64 {
        let eights = flags.as_chunks::<8>().0.iter();
        // Each flag is moved to its place in the highest byte; no two products meet.
        let gather =
            |eight: &[u8; 8]| u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        eights.rev().fold(0, |bits, eight| bits << 8 | gather(eight))
    }

    #[inline(always)]
    fn paint(self, mask: u64, starts: u64, labels: &[u32], out: &mut [u32; 64]) {
        paint_plain(mask, starts, labels, out);
    }

    #[inline(always)]
    fn pairs(self, marks: u64, later: Row, earlier: Row, pairs: &mut PairList) {
        pairs_plain(marks, later, earlier, pairs);
    }

    #[inline(always)]
    fn spread(self, bits: u64, value: u8, out: &mut [u8; 64]) {
        spread_plain(bits, value, out);
    }
}

/// Mark by mark.
#[inline(always)]
fn pairs_plain(marks: u64, later: Row, earlier: Row, pairs: &mut PairList) {
    let mut left = marks;
    while left != 0 {
        let upto = left ^ (left - 1);
        left &= left - 1;
        // A run begins there or before: the count is at least 1.
        let rank =
            |row: Row| row.before.wrapping_add((row.starts & upto).count_ones()).wrapping_sub(1);
        pairs.push(rank(later), rank(earlier));
    }
}

/// For eight voxels with runs that begin where bits are set: how many begin up to each voxel.
const RANKS: [[u8; 8]; 256] = {
    let mut ranks = [[0; 8]; 256];
    let mut starts = 0;
    while starts < 256 {
        let mut bit = 0;
        while bit < 8 {
            ranks[starts][bit] = (starts as u8 & (u8::MAX >> (7 - bit))).count_ones() as u8;
            bit += 1;
        }
        starts += 1;
    }
    ranks
};

/// Paints eight voxels at a time, see [`Isa::paint`].
#[inline(always)]
pub(in crate::ops) fn paint_plain<T: Copy + Default>(
    mask: u64,
    starts: u64,
    mut labels: &[T],
    out: &mut [T; 64],
) {
    let bytes = mask.to_le_bytes().into_iter().zip(starts.to_le_bytes());
    for ((mask, starts), out) in bytes.zip(out.as_chunks_mut::<8>().0) {
        let near = &labels[..16];
        let ranks = RANKS[usize::from(starts)];
        for (bit, out) in out.iter_mut().enumerate() {
            let label = near[usize::from(ranks[bit]) & 15];
            *out = if mask >> bit & 1 == 1 { label } else { T::default() };
        }
        labels = &labels[starts.count_ones() as usize..];
    }
}

/// Eight voxels at a time: each byte keeps its bit, which becomes the lowest.
#[inline(always)]
fn spread_plain(bits: u64, value: u8, out: &mut [u8; 64]) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    for (eight, out) in bits.to_le_bytes().into_iter().zip(out.as_chunks_mut::<8>().0) {
        let own = (u64::from(eight) * ONES) & 0x8040_2010_0804_0201;
        let flags = (own + 0x7f * ONES) >> 7 & ONES;
        *out = (flags * u64::from(value)).to_le_bytes();
    }
}
