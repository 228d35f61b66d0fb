//! Lane-by-lane actions from scalar functions.
//!
//! A whole warp runs them as a loop over rows, which compiles to vector instructions; where lanes are
//! missing, only the active ones are looked at.

use crate::lower::{Build, Lowered};
use crate::machine::lanes;
use crate::machine::registers::{Dst, Scalar, Src};

/// A function that an action can hold.
pub(crate) trait Pure: Send + Sync + 'static {}
impl<T: Send + Sync + 'static> Pure for T {}

/// The action `d = f(sources)`, of the given sources and their types.
macro_rules! map {
    ($build:ident, $f:ident, $R:ident, $($x:ident: $X:ident),*) => {{
        let d: Dst<$R> = $build.dst()?;
        $(let $x: Src<$X> = $build.src()?;)*
        Ok(Build::plain(move |ctx| {
            if ctx.active == u32::MAX {
                $(let $x = ctx.get($x);)*
                ctx.put_all(d, |i| $f($($X::load($x[i])),*));
            } else {
                for lane in lanes(ctx.active) {
                    let value = $f($(ctx.lane($x, lane)),*);
                    ctx.put_lane(d, lane, value);
                }
            }
        }))
    }};
}

/// `d = f(a)`
pub(crate) fn map1<A: Scalar, R: Scalar>(build: &mut Build<'_, '_>, f: impl Fn(A) -> R + Pure) -> Lowered {
    map!(build, f, R, a: A)
}

/// `d = f(a, b)`
pub(crate) fn map2<A: Scalar, B: Scalar, R: Scalar>(
    build: &mut Build<'_, '_>,
    f: impl Fn(A, B) -> R + Pure,
) -> Lowered {
    map!(build, f, R, a: A, b: B)
}

/// `d = f(a, b, c)`
pub(crate) fn map3<A: Scalar, B: Scalar, C: Scalar, R: Scalar>(
    build: &mut Build<'_, '_>,
    f: impl Fn(A, B, C) -> R + Pure,
) -> Lowered {
    map!(build, f, R, a: A, b: B, c: C)
}

/// `d = f(a, b, c, e)`
pub(crate) fn map4<A: Scalar, B: Scalar, C: Scalar, E: Scalar, R: Scalar>(
    build: &mut Build<'_, '_>,
    f: impl Fn(A, B, C, E) -> R + Pure,
) -> Lowered {
    map!(build, f, R, a: A, b: B, c: C, e: E)
}
