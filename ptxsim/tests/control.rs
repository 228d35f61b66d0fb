//! Branches, loops, calls, divergence, barriers and progress.

mod common;

use common::*;
use ptxsim::{Arg, Checks, Launch, Module};

#[test]
fn diverging_loops_meet_again() {
    // Collatz steps: every lane loops a different number of times, with a branch inside.
    let body = "ld.global.u32 %r1, [%in]; mov.u32 %r2, 0;
    LOOP: setp.le.u32 %p1, %r1, 1; @%p1 bra DONE;
        and.b32 %r3, %r1, 1; setp.eq.u32 %p2, %r3, 0; @%p2 bra EVEN;
        mad.lo.u32 %r1, %r1, 3, 1; bra NEXT;
    EVEN: shr.u32 %r1, %r1, 1;
    NEXT: add.u32 %r2, %r2, 1; bra LOOP;
    DONE: activemask.b32 %r4; st.global.v2.u32 [%out], {%r2, %r4};";
    let inputs: Vec<[u32; 4]> = (1..65).map(|i| [i, 0, 0, 0]).collect();
    for (input, found) in inputs.iter().zip(run(body, &inputs)) {
        let (mut n, mut steps) = (input[0], 0);
        while n > 1 {
            n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 };
            steps += 1;
        }
        assert_eq!(found[..2], [steps, u32::MAX]);
    }
}

#[test]
fn indexed_branches_go_where_the_table_says() {
    let body = "ld.global.u32 %r1, [%in];
    table: .branchtargets A, B, C;
        brx.idx %r1, table;
    A: mov.u32 %r2, 10; bra END;
    B: mov.u32 %r2, 20;
    C: mov.u32 %r2, 30;
    END: activemask.b32 %r3; st.global.v2.u32 [%out], {%r2, %r3};";
    let inputs: Vec<[u32; 4]> = (0..32).map(|i| [i % 3, 0, 0, 0]).collect();
    for (input, found) in inputs.iter().zip(run(body, &inputs)) {
        assert_eq!(found[..2], [[10, 30, 30][input[0] as usize], u32::MAX]);
    }
}

#[test]
fn guarded_exits_leave_the_rest_running() {
    let body = "st.global.u32 [%out], 1; setp.lt.u32 %p1, %t, 20; @%p1 exit; activemask.b32 %r1; st.global.u32 [%out], %r1;";
    for (lane, found) in run(body, &[[0; 4]; 32]).iter().enumerate() {
        assert_eq!(found[0], if lane < 20 { 1 } else { 0xfff0_0000 });
    }
}

#[test]
fn calls_pass_values_and_may_nest_and_diverge() {
    let ptx = ".version 8.0\n.target sm_80\n.address_size 64
        .func (.reg .u32 %result) square(.reg .u32 %x) { mul.lo.u32 %result, %x, %x; ret; }
        .func (.param .b32 out) odd_or_square(.param .b32 a) {
            .reg .b32 %r<4>; .reg .pred %p<2>;
            ld.param.u32 %r1, [a]; and.b32 %r2, %r1, 1; setp.ne.u32 %p1, %r2, 0;
            @%p1 bra ODD;
            call (%r3), square, (%r1);
            st.param.u32 [out], %r3; ret;
        ODD: st.param.u32 [out], 1; ret;
        }
        .visible .entry test(.param .u64 out) {
            .reg .b32 %r<8>; .reg .b64 %rd<4>;
            mov.u32 %r1, %tid.x; ld.param.u64 %rd1, [out]; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd1, %rd1, %rd2;
            { .param .b32 p0; .param .b32 r0; st.param.b32 [p0+0], %r1;
              call.uni (r0), odd_or_square, (p0); ld.param.b32 %r2, [r0+0]; }
            st.global.u32 [%rd1], %r2;
            ret;
        }";
    let module = Module::parse(ptx).unwrap();
    let device = device();
    let out = device.alloc(64 * 4).unwrap();
    device.launch(&module, "test", &Launch::linear(1, 64), &[Arg::U64(out)]).unwrap();
    for (i, found) in download(&device, out, 64).into_iter().enumerate() {
        assert_eq!(found, if i % 2 == 1 { 1 } else { (i * i) as u32 });
    }
}

#[test]
fn nested_scopes_hide_names_and_keep_labels_apart() {
    let body = "mov.u32 %r1, 1;
        { .reg .b32 %r<3>; mov.u32 %r1, 100; setp.eq.u32 %p1, %t, 0; @%p1 bra SKIP; mov.u32 %r1, 200; SKIP: add.u32 %r2, %r1, 5;
          st.global.u32 [%out], %r2; }
        { setp.eq.u32 %p1, %t, 1; @%p1 bra SKIP; add.u32 %r1, %r1, 10; SKIP: st.global.u32 [%out+4], %r1; }";
    assert_eq!(
        run(body, &[[0; 4]; 2]).iter().map(|o| [o[0], o[1]]).collect::<Vec<_>>(),
        [[105, 11], [205, 1]]
    );
}

#[test]
fn special_registers_tell_where_a_thread_is() {
    let ptx = ".version 8.0\n.target sm_80\n.address_size 64
        .visible .entry test(.param .u64 out) {
            .reg .b32 %r<20>; .reg .b64 %rd<4>;
            mov.u32 %r1, %tid.x; mov.u32 %r2, %tid.y; mov.u32 %r3, %ntid.x; mov.u32 %r4, %ntid.y;
            mov.u32 %r5, %ctaid.x; mov.u32 %r6, %ctaid.y; mov.u32 %r7, %nctaid.x; mov.u32 %r8, %laneid; mov.u32 %r9, %warpid;
            mov.u32 %r10, %lanemask_lt;
            mad.lo.u32 %r11, %r6, %r7, %r5; mul.lo.u32 %r12, %r3, %r4; mul.lo.u32 %r11, %r11, %r12;
            mad.lo.u32 %r13, %r2, %r3, %r1; add.u32 %r11, %r11, %r13;
            ld.param.u64 %rd1, [out]; mul.wide.u32 %rd2, %r11, 16; add.s64 %rd1, %rd1, %rd2;
            st.global.v4.u32 [%rd1], {%r8, %r9, %r10, %r13};
            ret;
        }";
    let module = Module::parse(ptx).unwrap();
    let device = device();
    let out = device.alloc(6 * 60 * 16).unwrap();
    let launch = Launch { grid: [3, 2, 1], block: [12, 5, 1], shared_bytes: 0, cluster: None };
    device.launch(&module, "test", &launch, &[Arg::U64(out)]).unwrap();
    for (i, found) in download(&device, out, 6 * 60 * 4).chunks(4).enumerate() {
        let linear = i as u32 % 60;
        assert_eq!(found, [linear % 32, linear / 32, (1 << (linear % 32)) - 1, linear]);
    }
}

#[test]
fn named_barriers_pair_producers_and_consumers() {
    // Warps 0 and 1 produce and only arrive; warps 2 and 3 wait for them on barrier 1.
    let body = ".shared .align 4 .b8 cells[256];
        mov.u32 %r1, cells; and.b32 %r2, %t, 63; shl.b32 %r2, %r2, 2; add.u32 %r3, %r1, %r2;
        setp.ge.u32 %p1, %t, 64; @%p1 bra CONSUME;
        mul.lo.u32 %r4, %t, 3; st.shared.u32 [%r3], %r4; bar.arrive 1, 128; st.global.u32 [%out], 0; bra DONE;
    CONSUME: bar.sync 1, 128; ld.shared.u32 %r5, [%r3]; st.global.u32 [%out], %r5;
    DONE: ret;";
    for (i, found) in run(body, &[[0; 4]; 128]).iter().enumerate() {
        assert_eq!(found[0] as usize, if i < 64 { 0 } else { (i - 64) * 3 });
    }
}

#[test]
fn barrier_reductions_see_every_thread() {
    let body = "setp.lt.u32 %p1, %t, 37; setp.ge.u32 %p5, %t, 0;
        bar.red.popc.u32 %r1, 0, %p1; bar.red.or.pred %p2, 0, %p1; bar.red.and.pred %p3, 0, %p1; bar.red.and.pred %p4, 0, %p5;
        selp.u32 %r2, 1, 0, %p2; @%p3 or.b32 %r2, %r2, 2; @%p4 or.b32 %r2, %r2, 4; st.global.v2.u32 [%out], {%r1, %r2};";
    assert!(run(body, &[[0; 4]; 100]).iter().all(|found| found[..2] == [37, 5]));
}

#[test]
fn lanes_that_left_a_spin_loop_do_not_starve_it() {
    // Lane 0 sets the flag only after the loop that the other lanes spin in, and after its join.
    let body = ".shared .align 4 .b8 flag[4];
        mov.u32 %r1, flag; setp.eq.u32 %p1, %t, 0; @%p1 st.shared.u32 [%r1], 0; bar.sync 0;
        @%p1 bra RELEASE;
    SPIN: ld.volatile.shared.u32 %r2, [%r1]; setp.eq.u32 %p2, %r2, 0; @%p2 bra SPIN;
        bra DONE;
    RELEASE: st.volatile.shared.u32 [%r1], 9; mov.u32 %r2, 1;
    DONE: st.global.u32 [%out], %r2;";
    for (i, found) in run(body, &[[0; 4]; 64]).iter().enumerate() {
        assert_eq!(found[0], if i == 0 { 1 } else { 9 });
    }
}

#[test]
fn lanes_held_at_a_join_are_let_go_when_others_wait_for_them() {
    // Lane 0 leaves the loop at once and waits at its end for the others, who spin on a flag that
    // lane 0 sets only after the loop.
    let body = ".shared .align 4 .b8 flag[4];
        mov.u32 %r1, flag; setp.eq.u32 %p1, %t, 0; @%p1 st.shared.u32 [%r1], 0; bar.sync 0;
    SPIN: ld.volatile.shared.u32 %r2, [%r1]; setp.ne.u32 %p2, %r2, 0; or.pred %p3, %p1, %p2; @!%p3 bra SPIN;
        @%p1 st.volatile.shared.u32 [%r1], 5;
        bar.sync 0;
        ld.shared.u32 %r3, [%r1]; st.global.u32 [%out], %r3;";
    assert!(run(body, &[[0; 4]; 64]).iter().all(|found| found[0] == 5));
}

#[test]
fn blocks_that_wait_for_one_another_make_progress() {
    // A barrier across the whole grid, by an atomic counter that all blocks spin on.
    let body =
        "ld.param.u64 %rd1, [in]; setp.eq.u32 %p1, %t, 0; mov.u32 %r1, %ctaid.x; mov.u32 %r2, %nctaid.x;
        @!%p1 bra WAIT;
        atom.global.add.u32 %r3, [%rd1], 1;
    SPIN: ld.acquire.gpu.global.u32 %r4, [%rd1]; setp.lt.u32 %p2, %r4, %r2; @%p2 bra SPIN;
    WAIT: bar.sync 0;
        ld.param.u64 %rd2, [out]; mul.wide.u32 %rd3, %r1, 4; add.s64 %rd2, %rd2, %rd3;
        ld.relaxed.gpu.global.u32 %r5, [%rd1]; @%p1 st.global.u32 [%rd2], %r5;";
    let module = module(body).unwrap();
    for threads in [1, 4] {
        let device = device_with(threads, Checks::all());
        let (counter, out) = (upload(&device, &[0]), device.alloc(40 * 4).unwrap());
        let args = [Arg::U64(out), Arg::U64(counter)];
        device.launch(&module, "test", &Launch::linear(40, 64), &args).unwrap();
        assert_eq!(download(&device, out, 40), [40; 40]);
    }
}

#[test]
fn clusters_share_memory_and_a_barrier() {
    let body = ".shared .align 4 .b8 cell[4];
        mov.u32 %r1, %cluster_ctarank; mov.u32 %r2, %cluster_nctarank; mov.u32 %r3, %ctaid.x; mov.u32 %r4, cell;
        setp.eq.u32 %p1, %t, 0; @%p1 st.shared.u32 [%r4], %r3;
        barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;
        add.u32 %r5, %r1, 1; rem.u32 %r5, %r5, %r2;
        mapa.shared::cluster.u32 %r6, %r4, %r5; ld.shared::cluster.u32 %r7, [%r6];
        barrier.cluster.arrive; barrier.cluster.wait;
        ld.param.u64 %rd2, [out]; mul.wide.u32 %rd3, %r3, 4; add.s64 %rd2, %rd2, %rd3;
        @%p1 st.global.u32 [%rd2], %r7;";
    let module = module(body).unwrap();
    let device = device();
    let out = device.alloc(12 * 4).unwrap();
    let launch = Launch { cluster: Some([4, 1, 1]), ..Launch::linear(12, 64) };
    device.launch(&module, "test", &launch, &[Arg::U64(out), Arg::U64(out)]).unwrap();
    let wanted: Vec<u32> = (0..12).map(|b| b / 4 * 4 + (b + 1) % 4).collect();
    assert_eq!(download(&device, out, 12), wanted);
}

#[test]
fn hints_to_the_machine_are_accepted_and_checked() {
    let body = "setmaxnreg.dec.sync.aligned.u32 40; griddepcontrol.wait; griddepcontrol.launch_dependents;
        st.global.u32 [%out], 5;";
    assert!(run(body, &[[0; 4]; 32]).iter().all(|out| out[0] == 5));
    for wrong in ["41", "16", "%r1"] {
        let error = module(&body.replace("40", wrong)).err().expect("an error").to_string();
        assert!(error.contains("multiple of 8 from 24 to 256"), "{error}");
    }
}
