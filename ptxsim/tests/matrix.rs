//! `ldmatrix`, `stmatrix` and `movmatrix` on elements that are all different.

mod common;

use common::{fault_kind, module, run};
use ptxsim::{FaultKind, Space};

/// Four 8x8 matrices of 16-bit elements, row by row: element `e` of row `r` of matrix `m`.
fn element(m: usize, r: usize, e: usize) -> u32 {
    (0x1000 * (m + 1) + 0x10 * r + e) as u32
}

/// Fills shared memory with the four matrices (lane `l` brings row `l`), then `%r9` is the lane's row.
const FILL: &str = ".shared .align 16 .b8 tile[512];
    ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%in];
    mov.u32 %r9, tile; shl.b32 %r10, %t, 4; add.u32 %r9, %r9, %r10;
    st.shared.v4.u32 [%r9], {%r1, %r2, %r3, %r4}; bar.warp.sync -1;";

/// Where `tile` lies: at a multiple of 16, as declared, and of no more.
const TILE_AT: u64 = 16;

fn rows() -> Vec<[u32; 4]> {
    (0..32)
        .map(|l| {
            std::array::from_fn(|w| element(l / 8, l % 8, 2 * w) | element(l / 8, l % 8, 2 * w + 1) << 16)
        })
        .collect()
}

/// What lane `l` holds of matrix `m`.
fn fragment(m: usize, lane: usize, transposed: bool) -> u32 {
    let (across, along) = (lane / 4, lane % 4 * 2);
    if transposed {
        element(m, along, across) | element(m, along + 1, across) << 16
    } else {
        element(m, across, along) | element(m, across, along + 1) << 16
    }
}

#[test]
fn loads_spread_rows_over_the_lanes() {
    for (count, registers) in [(1, "%r5"), (2, "%r5, %r6"), (4, "%r5, %r6, %r7, %r8")] {
        for transposed in [false, true] {
            for space in [".shared", ".shared::cta", ""] {
                let trans = if transposed { ".trans" } else { "" };
                let address = if space.is_empty() {
                    "cvt.u64.u32 %rd1, %r9; cvta.shared.u64 %rd1, %rd1;"
                } else {
                    "cvt.u64.u32 %rd1, %r9;"
                };
                let body = format!(
                    "{FILL} {address} mov.u32 %r6, 0; mov.u32 %r7, 0; mov.u32 %r8, 0;
                     ldmatrix.sync.aligned.m8n8.x{count}{trans}{space}.b16 {{{registers}}}, [%rd1];
                     st.global.v4.u32 [%out], {{%r5, %r6, %r7, %r8}};"
                );
                for (lane, found) in run(&body, &rows()).iter().enumerate() {
                    let wanted =
                        std::array::from_fn(|m| if m < count { fragment(m, lane, transposed) } else { 0 });
                    assert_eq!(*found, wanted, "x{count}{trans}{space} lane {lane}");
                }
            }
        }
    }
}

#[test]
fn stores_are_the_inverse_of_loads() {
    for trans in ["", ".trans"] {
        let body = format!(
            "{FILL} ldmatrix.sync.aligned.m8n8.x4{trans}.shared.b16 {{%r5, %r6, %r7, %r8}}, [%r9];
             .shared .align 16 .b8 copy[512]; mov.u32 %r11, copy; add.u32 %r11, %r11, %r10;
             stmatrix.sync.aligned.m8n8.x4{trans}.shared.b16 [%r11], {{%r5, %r6, %r7, %r8}};
             bar.warp.sync -1; ld.shared.v4.u32 {{%r1, %r2, %r3, %r4}}, [%r11];
             st.global.v4.u32 [%out], {{%r1, %r2, %r3, %r4}};"
        );
        assert_eq!(run(&body, &rows()), rows(), "{trans}");
    }
}

#[test]
fn a_store_of_two_matrices_takes_the_addresses_of_sixteen_lanes() {
    // Lanes 16 to 31 give addresses outside the array, which are not looked at.
    let body = format!(
        "{FILL} ldmatrix.sync.aligned.m8n8.x2.shared.b16 {{%r5, %r6}}, [%r9];
         bar.warp.sync -1; setp.ge.u32 %p1, %t, 16; mov.u32 %r12, %r9; @%p1 add.u32 %r12, %r12, 4097;
         stmatrix.sync.aligned.m8n8.x2.trans.shared.b16 [%r12], {{%r5, %r6}};
         bar.warp.sync -1; ld.shared.v4.u32 {{%r1, %r2, %r3, %r4}}, [%r9];
         st.global.v4.u32 [%out], {{%r1, %r2, %r3, %r4}};"
    );
    for (lane, found) in run(&body, &rows()).iter().enumerate() {
        let (m, r) = (lane / 8, lane % 8);
        let at = |e: usize| if m < 2 { element(m, e, r) } else { element(m, r, e) };
        assert_eq!(
            *found,
            std::array::from_fn::<u32, 4, _>(|w| at(2 * w) | at(2 * w + 1) << 16),
            "row {lane}"
        );
    }
}

#[test]
fn movmatrix_transposes_in_registers() {
    let body = format!(
        "{FILL} ldmatrix.sync.aligned.m8n8.x1.shared.b16 {{%r5}}, [%r9];
         movmatrix.sync.aligned.m8n8.trans.b16 %r6, %r5; st.global.u32 [%out], %r6;"
    );
    for (lane, found) in run(&body, &rows()).iter().enumerate() {
        assert_eq!(found[0], fragment(0, lane, true), "lane {lane}");
    }
}

#[test]
fn rows_must_be_aligned_written_and_inside() {
    let body = |change: &str, fill: &str| {
        format!(
            "{fill} {change} ldmatrix.sync.aligned.m8n8.x4.shared.b16 {{%r5, %r6, %r7, %r8}}, [%r9]; st.global.u32 [%out], %r8;"
        )
    };
    run(&body("", FILL), &rows());
    let kind = fault_kind(&body("setp.eq.u32 %p1, %t, 19; @%p1 sub.u32 %r9, %r9, 8;", FILL), &rows());
    assert_eq!(
        kind,
        FaultKind::Misaligned { space: Space::Shared, address: TILE_AT + 19 * 16 - 8, bytes: 16 }
    );
    let kind = fault_kind(&body("setp.eq.u32 %p1, %t, 31; @%p1 add.u32 %r9, %r9, 16;", FILL), &rows());
    assert!(
        matches!(kind, FaultKind::OutOfBounds { space: Space::Shared, address, .. } if address == TILE_AT + 512),
        "{kind}"
    );
    let unwritten = FILL.replace("st.shared.v4", "setp.ne.u32 %p2, %t, 7; @%p2 st.shared.v4");
    let kind = fault_kind(&body("", &unwritten), &rows());
    assert_eq!(
        kind,
        FaultKind::UninitialisedRead { space: Space::Shared, address: TILE_AT + 112, bytes: 16 }
    );
}

#[test]
fn wrong_forms_are_refused_at_load_time() {
    for (form, wanted) in [
        ("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r5}, [%r9]", "1 destinations for 2"),
        ("ldmatrix.sync.aligned.m8n8.x1.global.b16 {%r5}, [%r9]", "global"),
        ("ldmatrix.sync.m8n8.x1.shared.b16 {%r5}, [%r9]", "`.sync.aligned`"),
        ("stmatrix.sync.aligned.m8n8.x1.shared.b32 [%r9], {%r5}", "b32"),
    ] {
        let error = module(&format!("{form};")).err().expect("an error").to_string();
        assert!(error.contains(wanted), "{form}: {error}");
    }
}
