//! Loads, stores and addresses in every state space.

mod common;

use common::*;
use ptxsim::{Arg, Launch, Module};

#[test]
fn narrow_loads_extend_and_narrow_stores_keep_neighbours() {
    let body = "ld.global.s8 %r1, [%in+1]; ld.global.u8 %r2, [%in+1]; ld.global.s16 %r3, [%in+2];
        ld.global.u16 %h1, [%in]; st.global.v4.u32 [%out], {%r1, %r2, %r3, 0x11223344};
        st.global.u8 [%out+13], %r2; st.global.u16 [%out+14], %h1;";
    let out = run(body, &[[0x8765_f321, 0, 0, 0]]);
    assert_eq!(out[0], [0xffff_fff3, 0xf3, 0xffff_8765, 0xf321_f344]);
}

#[test]
fn vectors_move_up_to_sixteen_bytes() {
    let body = "ld.global.v2.u64 {%rd1, %rd2}, [%in]; ld.global.v4.u16 {%h1, %h2, %h3, %h4}, [%in];
        ld.global.v4.u8 {%r1, %r2, %r3, %r4}, [%in]; ld.global.v2.f64 {%d1, _}, [%in];
        mov.b64 %rd3, %d1; xor.b64 %rd2, %rd2, %rd3;
        st.global.v2.b64 [%out], {%rd2, %rd1}; st.global.v4.b16 [%out], {%h4, %h3, %h2, %h1};
        st.global.v4.u8 [%out+8], {%r4, %r3, %r2, %r1};";
    let out = run(body, &[[0x0403_0201, 0x0807_0605, 0x1111_2222, 0x3333_4444]]);
    assert_eq!(out[0], [0x0605_0807, 0x0201_0403, 0x0102_0304, 0x0807_0605]);
}

#[test]
fn shared_local_and_generic_addresses_agree() {
    let body = "
        .shared .align 16 .b8 tile[512];
        .local .align 8 .b8 frame[16];
        ld.global.v2.u32 {%r1, %r2}, [%in];
        shl.b32 %r3, %t, 2;
        mov.u32 %r4, tile; add.u32 %r4, %r4, %r3;
        st.shared.u32 [%r4], %r1;
        mov.u64 %rd1, tile; cvta.shared.u64 %rd1, %rd1; cvt.u64.u32 %rd2, %r3; add.s64 %rd1, %rd1, %rd2;
        ld.u32 %r5, [%rd1];
        mov.u64 %rd3, frame; st.local.u32 [%rd3+4], %r2; cvta.local.u64 %rd4, %rd3; ld.u32 %r6, [%rd4+4];
        cvta.to.shared.u64 %rd5, %rd1; ld.shared.u32 %r7, [%rd5];
        isspacep.shared %p1, %rd1; isspacep.local %p2, %rd4; isspacep.global %p3, %out; isspacep.global %p4, %rd1;
        selp.u32 %r8, 1, 0, %p1; @%p2 or.b32 %r8, %r8, 2; @%p3 or.b32 %r8, %r8, 4; @%p4 or.b32 %r8, %r8, 8;
        st.global.v4.u32 [%out], {%r5, %r6, %r7, %r8};";
    let inputs: Vec<[u32; 4]> = (0..100).map(|i| [i * 3 + 1, i * 7, 0, 0]).collect();
    for (input, found) in inputs.iter().zip(run(body, &inputs)) {
        assert_eq!(found, [input[0], input[1], input[0], 7]);
    }
}

#[test]
fn a_generic_access_may_go_to_several_spaces_at_once() {
    let body = "
        .shared .align 4 .b8 cell[4];
        .local .align 4 .b8 own[4];
        mov.u64 %rd1, cell; setp.eq.u32 %p3, %t, 0; @%p3 st.shared.u32 [%rd1], 100; cvta.shared.u64 %rd1, %rd1;
        mov.u64 %rd2, own; st.local.u32 [%rd2], %t; cvta.local.u64 %rd2, %rd2;
        bar.sync 0;
        rem.u32 %r1, %t, 3; setp.eq.u32 %p1, %r1, 0; setp.eq.u32 %p2, %r1, 1;
        selp.b64 %rd3, %rd1, %rd2, %p1; selp.b64 %rd3, %in, %rd3, %p2;
        ld.u32 %r2, [%rd3]; st.global.u32 [%out], %r2;";
    let inputs: Vec<[u32; 4]> = (0..64).map(|i| [i + 1000, 0, 0, 0]).collect();
    for (i, found) in run(body, &inputs).iter().enumerate() {
        let wanted = [100, i as u32 + 1000, i as u32][i % 3];
        assert_eq!(found[0], wanted);
    }
}

#[test]
fn module_variables_have_addresses_and_initial_values() {
    let ptx = ".version 8.0\n.target sm_80\n.address_size 64
        .global .align 4 .u32 counter;
        .const .align 8 .f64 scale[2] = {0d4000000000000000, 3.5};
        .global .align 8 .u64 pointer = counter+0;
        .visible .global .align 2 .u16 table[4] = {1, 2, 0xffff};
        .visible .entry test(.param .u64 out) {
            .reg .b64 %rd<8>; .reg .b32 %r<8>; .reg .f64 %d<4>;
            ld.param.u64 %rd1, [out];
            ld.const.f64 %d1, [scale+8];
            st.global.f64 [%rd1], %d1;
            ld.global.u64 %rd2, [pointer];
            ld.global.u32 %r1, [%rd2]; add.u32 %r1, %r1, 5; st.global.u32 [counter], %r1;
            ld.global.u16 %r2, [table+4]; st.global.v2.u32 [%rd1+8], {%r1, %r2};
            ret;
        }";
    let module = Module::parse(ptx).unwrap();
    let device = device();
    let out = device.alloc(16).unwrap();
    for round in 1..3 {
        device.launch(&module, "test", &Launch::linear(1, 1), &[Arg::U64(out)]).unwrap();
        let found = download(&device, out, 4);
        assert_eq!(f64::from_bits(u64::from(found[1]) << 32 | u64::from(found[0])), 3.5);
        assert_eq!(found[2..], [5 * round, 0xffff]);
    }
    let counter = device.symbol(&module, "counter").unwrap();
    assert_eq!(download(&device, counter, 1), [10]);
}

#[test]
fn parameters_reach_the_kernel_whole() {
    let ptx = ".version 8.0\n.target sm_80\n.address_size 64
        .visible .entry test(.param .u8 a, .param .align 8 .b8 s[24], .param .f32 f, .param .u64 out) {
            .reg .b64 %rd<8>; .reg .b32 %r<8>; .reg .f32 %f<4>;
            ld.param.u64 %rd1, [out]; ld.param.u8 %r1, [a]; ld.param.f32 %f1, [f];
            ld.param.v2.u32 {%r2, %r3}, [s+16];
            mov.b64 %rd2, s; cvta.param.u64 %rd3, %rd2; ld.u32 %r4, [%rd3+4];
            st.global.v4.u32 [%rd1], {%r1, %r2, %r3, %r4}; st.global.f32 [%rd1+16], %f1;
            ret;
        }";
    let module = Module::parse(ptx).unwrap();
    let entry = module.entry("test").unwrap();
    let places: Vec<(u32, u32)> = entry.params().iter().map(|p| (p.offset, p.bytes)).collect();
    assert_eq!(places, [(0, 1), (8, 24), (32, 4), (40, 8)]);
    let device = device();
    let out = device.alloc(20).unwrap();
    let bytes: Vec<u8> = (0..24).collect();
    let args = [Arg::Bytes(vec![200]), Arg::Bytes(bytes), Arg::F32(-2.5), Arg::U64(out)];
    device.launch(&module, "test", &Launch::linear(1, 1), &args).unwrap();
    assert_eq!(download(&device, out, 5), [200, 0x1312_1110, 0x1716_1514, 0x0706_0504, (-2.5f32).to_bits()]);
}

#[test]
fn wrong_arguments_are_refused_by_name() {
    let module = common::module("").unwrap();
    let device = device();
    let launch = Launch::linear(1, 1);
    let few = device.launch(&module, "test", &launch, &[Arg::U64(0)]).unwrap_err().to_string();
    assert!(few.contains("takes 2 parameters, not 1"), "{few}");
    let kind = device.launch(&module, "test", &launch, &[Arg::U64(0), Arg::U32(0)]).unwrap_err().to_string();
    assert!(kind.contains("parameter 1") && kind.contains("`in`"), "{kind}");
    let name = device.launch(&module, "tset", &launch, &[]).unwrap_err().to_string();
    assert!(name.contains("`tset`") && name.contains("test"), "{name}");
    let shape = Launch { block: [1025, 1, 1], ..launch };
    let args = [Arg::U64(0), Arg::U64(0)];
    assert!(device.launch(&module, "test", &shape, &args).unwrap_err().to_string().contains("1024"));
}

#[test]
fn host_copies_stay_inside_allocations() {
    let device = device();
    let address = device.alloc(10).unwrap();
    device.fill(address, 7, 10).unwrap();
    device.write(address + 3, &[1, 2, 3]).unwrap();
    let mut out = [0; 10];
    device.read(address, &mut out).unwrap();
    assert_eq!(out, [7, 7, 7, 1, 2, 3, 7, 7, 7, 7]);
    let other = device.alloc(10).unwrap();
    device.copy(other + 1, address + 2, 5).unwrap();
    let mut part = [0; 5];
    device.read(other + 1, &mut part).unwrap();
    assert_eq!(part, [7, 1, 2, 3, 7]);
    assert!(device.write(address + 8, &[0; 3]).is_err());
    device.free(address).unwrap();
    assert!(device.free(address).unwrap_err().to_string().contains("freed before"));
    assert!(device.read(address, &mut out).is_err());
}
