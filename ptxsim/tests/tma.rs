//! Bulk tensor copies: tiles of one to five dimensions, im2col, swizzles, multicast, and bad maps.

mod common;

use common::*;
use ptxsim::{Arg, Device, ElementType, Error, FaultKind, Launch, Module, Swizzle, Tensor, TensorMap};

/// A kernel whose first thread runs `copy` between the waits, then all dump `words` words of shared memory.
fn kernel(words: usize, expect: usize, copy: &str) -> String {
    format!(
        ".version 8.8\n.target sm_90a\n.address_size 64
        .visible .entry test(.param .u64 out, .param .align 64 .b8 map[128]) {{
        .reg .b32 %r<9>; .reg .b64 %rd<9>; .reg .b16 %h<9>; .reg .pred %p<3>;
        .shared .align 1024 .b8 memory[{bytes}]; .shared .align 8 .b64 bar;
        mov.b64 %rd1, map; cvta.param.u64 %rd1, %rd1; ld.param.u64 %rd2, [out];
        mov.u32 %r1, %tid.x; mov.u32 %r7, %cluster_ctarank; setp.ne.u32 %p1, %r1, 0; @%p1 bra WAIT;
        mbarrier.init.shared.b64 [bar], 1; fence.mbarrier_init.release.cluster;
        mbarrier.arrive.expect_tx.shared.b64 _, [bar], {expect};
        WAIT: barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;
        @%p1 bra READ;
        {copy}
        READ: mbarrier.try_wait.parity.shared.b64 %p2, [bar], 0; @!%p2 bra READ;
        mul.lo.u32 %r2, %r7, {bytes}; cvt.u64.u32 %rd3, %r2; add.s64 %rd2, %rd2, %rd3;
        mul.lo.u32 %r2, %r1, 4;
        L: setp.ge.u32 %p1, %r2, {bytes}; @%p1 bra END;
        mov.u32 %r3, memory; add.u32 %r3, %r3, %r2; ld.shared.u32 %r4, [%r3];
        cvt.u64.u32 %rd3, %r2; add.s64 %rd4, %rd2, %rd3; st.global.u32 [%rd4], %r4;
        add.u32 %r2, %r2, 128; bra L;
        END: barrier.cluster.arrive; barrier.cluster.wait; ret; }}",
        bytes = words * 4
    )
}

fn launch(device: &Device, ptx: &str, map: Vec<u8>, words: usize, cluster: u32) -> Result<Vec<u32>, Error> {
    let out = upload(device, &vec![0; words * cluster as usize]);
    let module = Module::parse(ptx).unwrap_or_else(|e| panic!("{e}"));
    let launch =
        Launch { grid: [cluster, 1, 1], block: [32, 1, 1], shared_bytes: 0, cluster: Some([cluster, 1, 1]) };
    device.launch(&module, "test", &launch, &[Arg::U64(out), Arg::Bytes(map)])?;
    Ok(download(device, out, words * cluster as usize))
}

/// An f32 tensor whose elements are their own index plus 1, with a row of padding between rows.
fn tensor(device: &Device, dims: &[u64], swizzle: Swizzle) -> Tensor {
    let mut strides = Vec::new();
    let mut stride = dims[0].next_multiple_of(4) * 4;
    for size in &dims[1..] {
        strides.push(stride);
        stride *= size;
    }
    let words: Vec<u32> = (1..=stride as u32 / 4).collect();
    Tensor {
        ty: ElementType::F32,
        address: upload(device, &words),
        dims: dims.to_vec(),
        strides,
        element_strides: vec![1; dims.len()],
        swizzle,
    }
}

/// What the tensor holds at `at`; 0 outside.
fn element(tensor: &Tensor, at: &[i64]) -> u32 {
    if at.iter().zip(&tensor.dims).any(|(&at, &size)| at < 0 || at >= size as i64) {
        return 0;
    }
    let outer: u64 = at[1..].iter().zip(&tensor.strides).map(|(&at, stride)| at as u64 * stride).sum();
    (outer / 4) as u32 + at[0] as u32 + 1
}

/// The word that the box's dense word `index` is swizzled to.
fn swizzled(swizzle: Swizzle, index: usize) -> usize {
    let mask = (1 << swizzle as usize) - 1;
    ((index * 4) ^ (((index * 4) >> 7) & mask) << 4) / 4
}

fn list(values: &[i64]) -> String {
    values.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

fn check_tile(dims: &[u64], tile: &[u32], start: &[i64], swizzle: Swizzle) {
    let device = device();
    let tensor = tensor(&device, dims, swizzle);
    let words = tile.iter().product::<u32>() as usize;
    let copy = format!(
        "cp.async.bulk.tensor.{}d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [memory], [%rd1, {{{}}}], [bar];",
        dims.len(),
        list(start)
    );
    let map = TensorMap::tiled(&tensor, tile).unwrap().to_bytes().to_vec();
    let found = launch(&device, &kernel(words, words * 4, &copy), map, words, 1).unwrap();
    for index in 0..words {
        let mut rest = index;
        let at: Vec<i64> = tile
            .iter()
            .zip(start)
            .map(|(&size, &start)| {
                let at = rest % size as usize;
                rest /= size as usize;
                start + at as i64
            })
            .collect();
        assert_eq!(found[swizzled(swizzle, index)], element(&tensor, &at), "{dims:?} {tile:?} {at:?}");
    }
}

#[test]
fn tiles_of_every_rank_with_zeros_outside() {
    check_tile(&[100], &[64], &[50], Swizzle::None);
    check_tile(&[30, 20], &[16, 8], &[-3, 15], Swizzle::None);
    check_tile(&[30, 20, 5], &[8, 4, 3], &[26, -2, 3], Swizzle::B32);
    check_tile(&[30, 9, 5, 4], &[16, 4, 3, 2], &[20, 3, -1, 3], Swizzle::B64);
    check_tile(&[40, 9, 5, 4, 3], &[32, 4, 2, 2, 2], &[10, 3, 4, 1, 2], Swizzle::B128);
}

/// A copy of im2col, all of it by dimension from the innermost spatial one.
struct Im2col {
    /// Channels, spatial dimensions, images.
    dims: Vec<u64>,
    lower: Vec<i32>,
    upper: Vec<i32>,
    channels: u32,
    pixels: u32,
    /// Coordinates of the first pixel, and how far away each is read.
    start: Vec<i64>,
    offsets: Vec<i64>,
}

impl Im2col {
    fn copy(&self) -> String {
        let names: Vec<String> = (0..self.offsets.len()).map(|i| format!("%h{i}")).collect();
        let moves: String = names
            .iter()
            .zip(&self.offsets)
            .map(|(name, offset)| format!("mov.b16 {name}, {offset}; "))
            .collect();
        format!(
            "{moves} cp.async.bulk.tensor.{}d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [memory], [%rd1, {{{}}}], [bar], {{{}}};",
            self.dims.len(),
            list(&self.start),
            names.join(", ")
        )
    }

    fn run(&self) -> (Tensor, Result<Vec<u32>, Error>) {
        let device = device();
        let swizzle = if self.channels == 32 { Swizzle::B128 } else { Swizzle::None };
        let tensor = tensor(&device, &self.dims, swizzle);
        let map = TensorMap::im2col(&tensor, &self.lower, &self.upper, self.channels, self.pixels).unwrap();
        let words = (self.channels * self.pixels) as usize;
        let found =
            launch(&device, &kernel(words, words * 4, &self.copy()), map.to_bytes().to_vec(), words, 1);
        (tensor, found)
    }

    /// The pixels are those of the box in order, image after image, from the one that the start names.
    fn check(&self) {
        let (tensor, found) = self.run();
        let found = found.unwrap_or_else(|e| panic!("{e}"));
        let spatial = self.offsets.len();
        let extent = |i: usize| self.dims[i + 1] as i64 + i64::from(self.upper[i] - self.lower[i]);
        let image: i64 = (0..spatial).map(extent).product();
        let mut first = self.start[spatial + 1] * image;
        for i in 0..spatial {
            let below: i64 = (0..i).map(extent).product();
            first += (self.start[i + 1] - i64::from(self.lower[i])) * below;
        }
        for pixel in 0..i64::from(self.pixels) {
            let mut rest = first + pixel;
            let mut at = vec![0; spatial + 2];
            for i in 0..spatial {
                at[i + 1] = rest % extent(i) + i64::from(self.lower[i]) + self.offsets[i];
                rest /= extent(i);
            }
            at[spatial + 1] = rest;
            for channel in 0..i64::from(self.channels) {
                at[0] = self.start[0] + channel;
                let index = (pixel * i64::from(self.channels) + channel) as usize;
                let wanted = element(&tensor, &at);
                assert_eq!(found[swizzled(tensor.swizzle, index)], wanted, "{:?} {at:?}", self.dims);
            }
        }
    }
}

/// A 3 by 3 filter with a padding of 1 over images of 5 by 4.
fn planes() -> Im2col {
    Im2col {
        dims: vec![40, 5, 4, 3],
        lower: vec![-1, -1],
        upper: vec![-1, -1],
        channels: 32,
        pixels: 48,
        start: vec![8, 2, 1, 0],
        offsets: vec![2, 0],
    }
}

#[test]
fn im2col_walks_the_pixels_of_each_image() {
    planes().check();
    // One spatial dimension: signals of 9, a filter of 5.
    let lines = Im2col {
        dims: vec![24, 9, 5],
        lower: vec![-2],
        upper: vec![-2],
        channels: 16,
        pixels: 40,
        start: vec![4, 3, 0],
        offsets: vec![4],
    };
    lines.check();
    // Three: volumes of 4 by 3 by 5, a filter of 3 by 3 by 2 with padding in two of them.
    let volumes = Im2col {
        dims: vec![32, 4, 3, 5, 2],
        lower: vec![-1, -1, 0],
        upper: vec![-1, -1, -1],
        channels: 32,
        pixels: 90,
        start: vec![0, 1, -1, 2, 0],
        offsets: vec![1, 2, 1],
    };
    volumes.check();
}

#[test]
fn im2col_starts_inside_its_box() {
    let outside = Im2col { start: vec![8, 4, 1, 0], ..planes() };
    let Err(Error::Fault(fault)) = outside.run().1 else { panic!("no fault") };
    assert!(matches!(fault.kind, FaultKind::BadTensorMap { .. }), "{fault}");
}

#[test]
fn elements_outside_may_read_as_nan() {
    let device = device();
    let tensor = tensor(&device, &[30, 20], Swizzle::None);
    let copy = "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [memory], [%rd1, {22, -2}], [bar];";
    let map = TensorMap::tiled(&tensor, &[16, 8]).unwrap().filling_nan().unwrap();
    let found = launch(&device, &kernel(128, 512, copy), map.to_bytes().to_vec(), 128, 1).unwrap();
    for (index, &word) in found.iter().enumerate() {
        let at = [22 + (index % 16) as i64, -2 + (index / 16) as i64];
        let wanted = match element(&tensor, &at) {
            0 => 0x7fff_ffff,
            inside => inside,
        };
        assert_eq!(word, wanted, "{at:?}");
    }
    let integers = Tensor { ty: ElementType::I32, ..tensor };
    assert!(TensorMap::tiled(&integers, &[16, 8]).unwrap().filling_nan().is_err());
}

#[test]
fn traffic_of_bulk_copies_is_counted() {
    let device = device();
    let tensor = tensor(&device, &[30, 20], Swizzle::None);
    let copy = "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [memory], [%rd1, {24, 10}], [bar];";
    let map = TensorMap::tiled(&tensor, &[16, 8]).unwrap().to_bytes().to_vec();
    let out = upload(&device, &[0; 128]);
    let launch = Launch { cluster: Some([1, 1, 1]), ..Launch::linear(1, 32) };
    let module = Module::parse(&kernel(128, 512, copy)).unwrap();
    let report = device.launch(&module, "test", &launch, &[Arg::U64(out), Arg::Bytes(map)]).unwrap();
    let count = &report.by_class[&ptxsim::Class::Async];
    // Six elements of each of eight rows lie inside, 128 bytes apart and within one sector.
    assert_eq!((count.global_bytes, count.global_sectors), (8 * 24, 8));
    assert_eq!((report.unique_bytes_read, report.unique_bytes_written), (8 * 24, 512));
}

#[test]
fn a_multicast_reaches_every_block_it_names() {
    let device = device();
    let tensor = tensor(&device, &[30, 20], Swizzle::None);
    let copy = "setp.ne.u32 %p2, %r7, 1; @%p2 bra READ; mov.b16 %h1, 7;
        cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [memory], [%rd1, {4, 5}], [bar], %h1;";
    let map = TensorMap::tiled(&tensor, &[16, 8]).unwrap().to_bytes().to_vec();
    let found = launch(&device, &kernel(128, 512, copy), map, 128, 3).unwrap();
    for (index, &word) in found.iter().enumerate() {
        let at = [4 + (index % 16) as i64, 5 + (index % 128 / 16) as i64];
        assert_eq!(word, element(&tensor, &at));
    }
}

#[test]
fn bad_maps_are_faults() {
    let device = device();
    let tensor = tensor(&device, &[30, 20], Swizzle::None);
    let map = TensorMap::tiled(&tensor, &[16, 8]).unwrap().to_bytes().to_vec();
    let copy = "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [memory], [%rd1, {0, 0}], [bar];";
    let kind = |ptx: &str, map: Vec<u8>| match launch(&device, ptx, map, 128, 1) {
        Err(Error::Fault(fault)) => fault.kind,
        other => panic!("{other:?}"),
    };
    let ptx = kernel(128, 512, copy);
    let found = kind(&ptx, vec![0; 128]);
    assert!(matches!(found, FaultKind::BadTensorMap { .. }), "{found}");
    let found = kind(&ptx.replace("tensor.2d", "tensor.3d").replace("{0, 0}", "{0, 0, 0}"), map.clone());
    assert!(matches!(found, FaultKind::BadTensorMap { .. }), "{found}");
    let found = kind(&ptx.replace("[memory],", "[memory+64],"), map.clone());
    assert!(matches!(found, FaultKind::Misuse { .. } | FaultKind::OutOfBounds { .. }), "{found}");
    device.free(tensor.address).unwrap();
    let found = kind(&ptx, map);
    assert!(matches!(found, FaultKind::UseAfterFree { .. }), "{found}");
}
