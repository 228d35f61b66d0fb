//! Dot products of packed bytes.

use super::map::map3;
use crate::lower::{Build, Lowered};
use crate::types::Type;

fn bytes(v: u32, signed: bool) -> [i32; 4] {
    v.to_le_bytes().map(|byte| if signed { i32::from(byte as i8) } else { i32::from(byte) })
}

fn signedness(b: &mut Build<'_, '_>) -> Result<bool, String> {
    match b.ty()? {
        Type::U32 => Ok(false),
        Type::S32 => Ok(true),
        other => b.bad_type(other),
    }
}

pub(crate) fn dp4a(b: &mut Build<'_, '_>) -> Lowered {
    let (sx, sy) = (signedness(b)?, signedness(b)?);
    map3(b, move |x: u32, y: u32, c: u32| {
        let dot: i32 = bytes(x, sx).iter().zip(bytes(y, sy)).map(|(x, y)| x * y).sum();
        c.wrapping_add(dot as u32)
    })
}

pub(crate) fn dp2a(b: &mut Build<'_, '_>) -> Lowered {
    let first = b.must_choose("half", &[("lo", 0), ("hi", 2)])?;
    let (sx, sy) = (signedness(b)?, signedness(b)?);
    map3(b, move |x: u32, y: u32, c: u32| {
        let halves =
            [x as u16, (x >> 16) as u16].map(|h| if sx { i32::from(h as i16) } else { i32::from(h) });
        let dot = halves
            .iter()
            .zip(&bytes(y, sy)[first..])
            .fold(0i32, |s, (x, y)| s.wrapping_add(x.wrapping_mul(*y)));
        c.wrapping_add(dot as u32)
    })
}
