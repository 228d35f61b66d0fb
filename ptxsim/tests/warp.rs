//! Shuffles, votes, matches and reductions among a warp's lanes.

mod common;

use common::run;

fn lanes() -> Vec<[u32; 4]> {
    (0..32u32).map(|i| [i * i + 5, i % 3, (i * 11) % 32, i]).collect()
}

/// What `shfl` gives by the manual's rules.
fn shuffled(mode: &str, lane: u32, by: u32, clamp: u32) -> (u32, bool) {
    let (segment, limit) = (clamp >> 8 & 31, clamp & 31);
    let high = lane & segment | limit & !segment;
    let low = lane & segment;
    let (source, valid) = match mode {
        "up" => (lane as i32 - by as i32, lane as i32 - by as i32 >= high as i32),
        "down" => ((lane + by) as i32, lane + by <= high),
        "bfly" => ((lane ^ by) as i32, lane ^ by <= high),
        _ => ((low | by & !segment) as i32, (low | by & !segment) <= high),
    };
    (if valid { source as u32 } else { lane }, valid)
}

#[test]
fn shuffles_follow_the_manual() {
    for mode in ["up", "down", "bfly", "idx"] {
        for width in [32u32, 8] {
            let clamp = (32 - width) << 8 | if mode == "up" { 0 } else { 31 };
            for by in [0, 1, 3, 7, 16] {
                let body = format!(
                    "ld.global.u32 %r1, [%in]; shfl.sync.{mode}.b32 %r2|%p1, %r1, {by}, {clamp}, -1;
                     selp.u32 %r3, 1, 0, %p1; st.global.v2.u32 [%out], {{%r2, %r3}};"
                );
                let inputs = lanes();
                for (lane, found) in run(&body, &inputs).iter().enumerate() {
                    let (source, valid) = shuffled(mode, lane as u32, by, clamp);
                    assert_eq!(
                        found[..2],
                        [inputs[source as usize][0], u32::from(valid)],
                        "{mode} {by} {width} {lane}"
                    );
                }
            }
        }
    }
}

#[test]
fn shuffle_by_a_register_and_within_a_partial_warp() {
    let body = "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%in]; rem.u32 %r3, %r3, 20;
        shfl.sync.idx.b32 %r5, %r1, %r3, 31, 0xfffff; st.global.u32 [%out], %r5;";
    let inputs: Vec<[u32; 4]> = lanes()[..20].to_vec();
    for (found, input) in run(body, &inputs).iter().zip(&inputs) {
        assert_eq!(found[0], inputs[input[2] as usize % 20][0]);
    }
}

#[test]
fn votes_count_the_named_lanes() {
    let body = "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%in]; setp.eq.u32 %p1, %r2, 1;
        vote.sync.ballot.b32 %r5, %p1, -1; vote.sync.any.pred %p2, %p1, -1; vote.sync.all.pred %p3, %p1, -1;
        vote.sync.uni.pred %p4, !%p2, -1;
        selp.u32 %r6, 1, 0, %p2; @%p3 or.b32 %r6, %r6, 2; @%p4 or.b32 %r6, %r6, 4;
        @%p1 activemask.b32 %r7; @!%p1 mov.u32 %r7, 0;
        st.global.v4.u32 [%out], {%r5, %r6, %r7, 0};";
    let inputs = lanes();
    let ballot = inputs.iter().enumerate().fold(0, |m, (i, v)| m | u32::from(v[1] == 1) << i);
    for (found, input) in run(body, &inputs).iter().zip(&inputs) {
        assert_eq!(found[..3], [ballot, 5, if input[1] == 1 { ballot } else { 0 }]);
    }
}

#[test]
fn matches_find_equal_values() {
    let body = "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%in]; match.any.sync.b32 %r5, %r2, -1;
        cvt.u64.u32 %rd1, %r2; match.any.sync.b64 %r6, %rd1, -1;
        match.all.sync.b32 %r7|%p1, %r2, -1; selp.u32 %r8, 1, 0, %p1;
        st.global.v4.u32 [%out], {%r5, %r6, %r7, %r8};";
    let inputs = lanes();
    for (found, input) in run(body, &inputs).iter().zip(&inputs) {
        let same = inputs.iter().enumerate().fold(0, |m, (i, v)| m | u32::from(v[1] == input[1]) << i);
        assert_eq!(*found, [same, same, 0, 0]);
    }
}

#[test]
fn reductions_combine_the_named_lanes() {
    let body = "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%in];
        redux.sync.add.u32 %r5, %r1, -1; redux.sync.max.s32 %r6, %r1, -1; redux.sync.xor.b32 %r7, %r1, -1;
        redux.sync.min.u32 %r8, %r3, -1; st.global.v4.u32 [%out], {%r5, %r6, %r7, %r8};";
    let inputs = lanes();
    let values: Vec<u32> = inputs.iter().map(|v| v[0]).collect();
    let wanted = [values.iter().sum(), 966, values.iter().fold(0, |a, b| a ^ b), 0];
    assert!(run(body, &inputs).iter().all(|found| *found == wanted));
}

#[test]
fn lanes_of_one_mask_meet_though_they_come_by_different_ways() {
    // Odd and even lanes diverge into a loop of different length, then shuffle under a full mask
    // from the same instruction, reached while diverged.
    let body = "ld.global.u32 %r1, [%in]; and.b32 %r2, %t, 1; setp.eq.u32 %p1, %r2, 0; mov.u32 %r3, 0;
        @%p1 bra EXCHANGE;
    WORK: add.u32 %r3, %r3, 1; setp.lt.u32 %p2, %r3, 9; @%p2 bra WORK;
    EXCHANGE: shfl.sync.bfly.b32 %r4, %r1, 1, 31, -1; st.global.u32 [%out], %r4;";
    let inputs = lanes();
    for (lane, found) in run(body, &inputs).iter().enumerate() {
        assert_eq!(found[0], inputs[lane ^ 1][0]);
    }
}

#[test]
fn warp_barrier_joins_both_sides_of_a_branch() {
    let body = ".shared .align 4 .b8 cells[128];
        and.b32 %r1, %t, 1; setp.eq.u32 %p1, %r1, 0; shl.b32 %r2, %t, 2; mov.u32 %r3, cells; add.u32 %r4, %r3, %r2;
        xor.b32 %r5, %r2, 4; add.u32 %r5, %r5, %r3;
        @%p1 bra EVEN;
        st.shared.u32 [%r4], %t; bar.warp.sync -1; ld.shared.u32 %r6, [%r5]; bra DONE;
    EVEN: st.shared.u32 [%r4], %t; bar.warp.sync -1; ld.shared.u32 %r6, [%r5];
    DONE: st.global.u32 [%out], %r6;";
    for (lane, found) in run(body, &lanes()).iter().enumerate() {
        assert_eq!(found[0], lane as u32 ^ 1);
    }
}

#[test]
fn one_lane_is_elected() {
    let body = "mov.u32 %r1, 77; elect.sync %r1|%p1, 0xfff0; selp.u32 %r2, 1, 0, %p1;
        setp.lt.u32 %p2, %t, 9; @!%p2 bra END; elect.sync _|%p3, 0x1ff; selp.u32 %r3, 1, 0, %p3;
        st.global.v4.u32 [%out], {%r1, %r2, %r3, 0}; END:";
    let guarded = body.replace("elect.sync %r1|%p1", "setp.ge.u32 %p4, %t, 4; setp.lt.and.u32 %p4, %t, 16, %p4; setp.ne.u32 %p1, %t, %t; @%p4 elect.sync %r1|%p1");
    let found = run(&guarded, &lanes());
    for (lane, found) in found[..9].iter().enumerate() {
        let in_mask = (4..16).contains(&lane);
        let wanted = [if in_mask { 4 } else { 77 }, u32::from(lane == 4), u32::from(lane == 0), 0];
        assert_eq!(*found, wanted, "lane {lane}");
    }
}
