//! `cp.reduce.async.bulk`: every operation into global memory, into shared memory of a cluster, and
//! into tensors.

mod common;

use common::*;
use ptxsim::{Arg, ElementType, Error, FaultKind, Launch, Module, Swizzle, Tensor, TensorMap};

/// Two blocks, whose first threads reduce the 64 bytes that block `b` has in `in` into those of `out`.
fn global(operation: &str, fence: &str) -> String {
    format!(
        ".version 8.8\n.target sm_90a\n.address_size 64
        .visible .entry test(.param .u64 in, .param .u64 out) {{
        .reg .b32 %r<9>; .reg .b64 %rd<9>; .reg .pred %p<2>;
        .shared .align 128 .b8 tile[64];
        ld.param.u64 %rd1, [in]; ld.param.u64 %rd2, [out];
        mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x;
        mad.lo.u32 %r3, %r2, 16, %r1; mul.wide.u32 %rd3, %r3, 4; add.s64 %rd1, %rd1, %rd3;
        ld.global.u32 %r4, [%rd1];
        mov.u32 %r5, tile; mad.lo.u32 %r5, %r1, 4, %r5; st.shared.u32 [%r5], %r4;
        {fence} bar.sync 0;
        setp.ne.u32 %p1, %r1, 0; @%p1 exit;
        cp.reduce.async.bulk.global.shared::cta.bulk_group.{operation} [%rd2], [tile], 64;
        cp.async.bulk.commit_group; cp.async.bulk.wait_group 0; ret; }}"
    )
}

fn reduce(operation: &str, start: &[u32], parts: &[u32]) -> Result<Vec<u32>, Error> {
    let device = device();
    let (input, out) = (upload(&device, parts), upload(&device, start));
    let module = Module::parse(&global(operation, "fence.proxy.async.shared::cta;"))?;
    device.launch(&module, "test", &Launch::linear(2, 16), &[Arg::U64(input), Arg::U64(out)])?;
    Ok(download(&device, out, 16))
}

type Fold = fn(u32, u32) -> u32;

fn floats(old: u32, new: u32, f: fn(f32, f32) -> f32) -> u32 {
    f(f32::from_bits(old), f32::from_bits(new)).to_bits()
}

#[test]
fn every_operation_on_words_of_global_memory() {
    let cases: [(&str, Fold); 11] = [
        ("add.u32", |a, b| a.wrapping_add(b)),
        ("add.s32", |a, b| a.wrapping_add(b)),
        ("min.u32", |a, b| a.min(b)),
        ("max.u32", |a, b| a.max(b)),
        ("min.s32", |a, b| (a as i32).min(b as i32) as u32),
        ("max.s32", |a, b| (a as i32).max(b as i32) as u32),
        ("inc.u32", |a, b| if a >= b { 0 } else { a + 1 }),
        ("dec.u32", |a, b| if a == 0 || a > b { b } else { a - 1 }),
        ("and.b32", |a, b| a & b),
        ("or.b32", |a, b| a | b),
        ("xor.b32", |a, b| a ^ b),
    ];
    let (start, parts) = (random_words(1, 16), random_words(2, 32));
    for (operation, fold) in cases {
        let wanted: Vec<u32> = (0..16).map(|i| fold(fold(start[i], parts[i]), parts[16 + i])).collect();
        assert_eq!(reduce(operation, &start, &parts).unwrap(), wanted, "{operation}");
    }
    let (start, parts) = (random_floats(3, 16), random_floats(4, 32));
    let bits = |v: &[f32]| -> Vec<u32> { v.iter().map(|v| v.to_bits()).collect() };
    let found = reduce("add.f32", &bits(&start), &bits(&parts)).unwrap();
    for i in 0..16 {
        let one = floats(start[i].to_bits(), parts[i].to_bits(), |a, b| a + b);
        assert_eq!(found[i], floats(one, parts[16 + i].to_bits(), |a, b| a + b), "{i}");
    }
}

#[test]
fn wide_and_half_elements() {
    let (start, parts) = (random_words(5, 16), random_words(6, 32));
    let wide = |v: &[u32], i: usize| u64::from(v[2 * i]) | u64::from(v[2 * i + 1]) << 32;
    type Wide = fn(u64, u64) -> u64;
    let cases: [(&str, Wide); 3] = [
        ("add.u64", |a, b| a.wrapping_add(b)),
        ("min.s64", |a, b| (a as i64).min(b as i64) as u64),
        ("xor.b64", |a, b| a ^ b),
    ];
    for (operation, fold) in cases {
        let found = reduce(operation, &start, &parts).unwrap();
        for i in 0..8 {
            let wanted = fold(fold(wide(&start, i), wide(&parts, i)), wide(&parts[16..], i));
            assert_eq!(wide(&found, i), wanted, "{operation}");
        }
    }
    // Small integers, exact in both halves' types.
    let pairs = |seed: u64, count: usize, ty: &str| -> (Vec<i32>, Vec<u32>) {
        let values = integers(seed, 1, 2 * count, -50, 50).remove(0);
        let words = values.chunks(2).map(|v| (encode(ty, v[0]) | encode(ty, v[1]) << 16) as u32).collect();
        (values, words)
    };
    for ty in ["f16", "bf16"] {
        for (operation, fold) in
            [("add.noftz", (|a, b| a + b) as fn(i32, i32) -> i32), ("min", i32::min), ("max", i32::max)]
        {
            let ((start, start_words), (parts, part_words)) = (pairs(7, 16, ty), pairs(8, 32, ty));
            let found = reduce(&format!("{operation}.{ty}"), &start_words, &part_words).unwrap();
            for i in 0..32 {
                let wanted = fold(fold(start[i], parts[i]), parts[32 + i]);
                assert_eq!(
                    u64::from(found[i / 2] >> (16 * (i % 2)) & 0xffff),
                    encode(ty, wanted),
                    "{operation}.{ty}"
                );
            }
        }
    }
}

#[test]
fn the_source_needs_its_proxy_fence_and_the_destination_a_value() {
    let device = device();
    let (input, out, raw) = (upload(&device, &[1; 32]), upload(&device, &[1; 16]), device.alloc(64).unwrap());
    let kind = |fence: &str, out: u64| {
        let module = Module::parse(&global("add.u32", fence)).unwrap();
        match device.launch(&module, "test", &Launch::linear(2, 16), &[Arg::U64(input), Arg::U64(out)]) {
            Err(Error::Fault(fault)) => fault.kind,
            other => panic!("{other:?}"),
        }
    };
    let found = kind("", out);
    assert!(matches!(found, FaultKind::MissingProxyFence { .. }), "{found}");
    let found = kind("fence.proxy.async.shared::cta;", raw);
    assert!(matches!(found, FaultKind::UninitialisedRead { .. }), "{found}");
}

/// Four blocks of a cluster add their rank's words into block 0's, whose mbarrier counts the bytes.
#[test]
fn blocks_of_a_cluster_reduce_into_one() {
    let ptx = ".version 8.8\n.target sm_90a\n.address_size 64
        .visible .entry test(.param .u64 out) {
        .reg .b32 %r<12>; .reg .b64 %rd<4>; .reg .pred %p<4>;
        .shared .align 128 .b8 sum[128]; .shared .align 128 .b8 own[128]; .shared .align 8 .b64 bar;
        ld.param.u64 %rd1, [out]; mov.u32 %r1, %tid.x; mov.u32 %r2, %cluster_ctarank;
        mov.u32 %r3, sum; mad.lo.u32 %r3, %r1, 4, %r3; st.shared.u32 [%r3], 1000;
        mov.u32 %r4, own; mad.lo.u32 %r4, %r1, 4, %r4; mad.lo.u32 %r5, %r2, 100, %r1; st.shared.u32 [%r4], %r5;
        fence.proxy.async.shared::cta;
        setp.ne.u32 %p1, %r1, 0; @%p1 bra READY;
        mbarrier.init.shared.b64 [bar], 1; fence.mbarrier_init.release.cluster;
        mbarrier.arrive.expect_tx.shared.b64 _, [bar], 512;
        READY: barrier.cluster.arrive; barrier.cluster.wait;
        @%p1 bra SENT;
        mov.u32 %r6, sum; mapa.shared::cluster.u32 %r6, %r6, 0; mov.u32 %r7, bar; mapa.shared::cluster.u32 %r7, %r7, 0;
        cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes.add.u32 [%r6], [own], 128, [%r7];
        SENT: setp.ne.u32 %p2, %r2, 0; @%p2 bra END;
        WAIT: mbarrier.try_wait.parity.shared.b64 %p3, [bar], 0; @!%p3 bra WAIT;
        ld.shared.u32 %r8, [%r3]; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd1, %rd1, %rd2; st.global.u32 [%rd1], %r8;
        END: barrier.cluster.arrive; barrier.cluster.wait; ret; }";
    let device = device();
    let out = upload(&device, &[0; 32]);
    let launch = Launch { cluster: Some([4, 1, 1]), ..Launch::linear(4, 32) };
    device.launch(&Module::parse(ptx).unwrap(), "test", &launch, &[Arg::U64(out)]).unwrap();
    let wanted: Vec<u32> = (0..32).map(|i| 1000 + (0..4).map(|rank| rank * 100 + i).sum::<u32>()).collect();
    assert_eq!(download(&device, out, 32), wanted);
}

#[test]
fn tensors_take_reductions_by_their_type() {
    let ptx = |operation: &str| {
        format!(
            ".version 8.8\n.target sm_90a\n.address_size 64
            .visible .entry test(.param .align 64 .b8 map[128]) {{
            .reg .b32 %r<9>; .reg .b64 %rd<9>; .reg .pred %p<2>;
            .shared .align 128 .b8 tile[512];
            mov.b64 %rd1, map; cvta.param.u64 %rd1, %rd1; mov.u32 %r1, %tid.x;
            mov.u32 %r2, tile; mad.lo.u32 %r2, %r1, 4, %r2;
            cvt.rn.f32.u32 %r3, %r1; st.shared.u32 [%r2], %r3;
            fence.proxy.async.shared::cta; bar.sync 0;
            setp.ne.u32 %p1, %r1, 0; @%p1 exit;
            cp.reduce.async.bulk.tensor.2d.global.shared::cta.{operation}.tile.bulk_group [%rd1, {{2, 5}}], [tile];
            cp.async.bulk.commit_group; cp.async.bulk.wait_group 0; ret; }}"
        )
        .replace("%r3, %r1; st.shared.u32 [%r2], %r3", "%f1, %r1; st.shared.f32 [%r2], %f1")
        .replace(".reg .pred", ".reg .f32 %f<2>; .reg .pred")
    };
    let device = device();
    let start = random_floats(9, 24 * 10);
    let address = upload_f32(&device, &start);
    let tensor = Tensor {
        ty: ElementType::F32,
        address,
        dims: vec![20, 10],
        strides: vec![96],
        element_strides: vec![1, 1],
        swizzle: Swizzle::None,
    };
    let map = TensorMap::tiled(&tensor, &[16, 8]).unwrap().to_bytes().to_vec();
    let run = |operation: &str| {
        let module = Module::parse(&ptx(operation)).unwrap();
        device.launch(&module, "test", &Launch::linear(1, 128), &[Arg::Bytes(map.clone())])
    };
    run("add").unwrap();
    for (i, (found, start)) in download_f32(&device, address, 240).iter().zip(&start).enumerate() {
        let (row, column) = (i / 24, i % 24);
        let inside = (5..10).contains(&row) && (2..18).contains(&column);
        let added = if inside { ((row - 5) * 16 + column - 2) as f32 } else { 0.0 };
        assert_eq!(*found, start + added, "{row},{column}");
    }
    let Err(Error::Fault(fault)) = run("inc") else { panic!("no fault") };
    assert!(
        matches!(&fault.kind, FaultKind::BadTensorMap { detail } if detail.contains("inc of f32")),
        "{fault}"
    );
}

#[test]
fn wrong_forms_are_refused_at_load_time() {
    for (form, wanted) in [
        ("cp.reduce.async.cg.shared.global [%r1], [%in], 16;", "needs `.async.bulk`"),
        (
            "cp.reduce.async.bulk.global.shared::cta.bulk_group.exch.b32 [%in], [%r1], 16;",
            "needs a operation",
        ),
        ("cp.reduce.async.bulk.global.shared::cta.bulk_group.min.f32 [%in], [%r1], 16;", "`.f32`"),
        (
            "cp.reduce.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.add.u32 [%r1], [%in], 16, [%r2];",
            "shared to shared",
        ),
    ] {
        let error = module(form).err().expect("an error").to_string();
        assert!(error.contains(wanted), "{form}: {error}");
    }
}
