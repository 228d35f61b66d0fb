//! Lane-by-lane actions from scalar functions.

use crate::lower::{Build, Lowered};
use crate::machine::registers::{Dst, Scalar, Src};

/// A function that an action can hold.
pub(crate) trait Pure: Send + Sync + 'static {}
impl<T: Send + Sync + 'static> Pure for T {}

/// `d = f(a)`
pub(crate) fn map1<A: Scalar, R: Scalar>(b: &mut Build<'_, '_>, f: impl Fn(A) -> R + Pure) -> Lowered {
    let (d, a): (Dst<R>, Src<A>) = (b.dst()?, b.src()?);
    Ok(Build::plain(move |ctx| {
        let a = ctx.get(a);
        ctx.put(d, |i| f(A::load(a[i])));
    }))
}

/// `d = f(a, b)`
pub(crate) fn map2<A: Scalar, B: Scalar, R: Scalar>(
    build: &mut Build<'_, '_>,
    f: impl Fn(A, B) -> R + Pure,
) -> Lowered {
    let (d, a, b): (Dst<R>, Src<A>, Src<B>) = (build.dst()?, build.src()?, build.src()?);
    Ok(Build::plain(move |ctx| {
        let (a, b) = (ctx.get(a), ctx.get(b));
        ctx.put(d, |i| f(A::load(a[i]), B::load(b[i])));
    }))
}

/// `d = f(a, b, c)`
pub(crate) fn map3<A: Scalar, B: Scalar, C: Scalar, R: Scalar>(
    build: &mut Build<'_, '_>,
    f: impl Fn(A, B, C) -> R + Pure,
) -> Lowered {
    let (d, a, b, c): (Dst<R>, Src<A>, Src<B>, Src<C>) =
        (build.dst()?, build.src()?, build.src()?, build.src()?);
    Ok(Build::plain(move |ctx| {
        let (a, b, c) = (ctx.get(a), ctx.get(b), ctx.get(c));
        ctx.put(d, |i| f(A::load(a[i]), B::load(b[i]), C::load(c[i])));
    }))
}

/// `d = f(a, b, c, e)`
pub(crate) fn map4<A: Scalar, B: Scalar, C: Scalar, E: Scalar, R: Scalar>(
    build: &mut Build<'_, '_>,
    f: impl Fn(A, B, C, E) -> R + Pure,
) -> Lowered {
    let (d, a, b): (Dst<R>, Src<A>, Src<B>) = (build.dst()?, build.src()?, build.src()?);
    let (c, e): (Src<C>, Src<E>) = (build.src()?, build.src()?);
    Ok(Build::plain(move |ctx| {
        let (a, b, c, e) = (ctx.get(a), ctx.get(b), ctx.get(c), ctx.get(e));
        ctx.put(d, |i| f(A::load(a[i]), B::load(b[i]), C::load(c[i]), E::load(e[i])));
    }))
}
