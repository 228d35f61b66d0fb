use super::*;

/// Shapes at and beside the sizes of tiles, lanes and blocks.
const SHAPES: [[usize; 5]; 9] = [
    [1, 1, 1, 1, 1],
    [1, 1, 5, 3, 2],
    [1, 2, 2, 17, 16],
    [2, 3, 4, 5, 7],
    [3, 7, 5, 16, 33],
    [2, 32, 32, 3, 64],
    [1, 3, 601, 2, 3],
    [70, 4, 4, 8, 9],
    // More than one chunk of blocks in wgrad.
    [5, 33, 31, 64, 48],
];

fn shape([n, h, w, c, k]: [usize; 5]) -> Conv3x3Shape {
    Conv3x3Shape { n, h, w, c, k }
}

/// `count` numbers in [-1, 1), rounded to f32, from a SplitMix64 generator.
fn random(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0)
    };
    (0..count).map(|_| next()).collect()
}

fn cast<T: Real>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&v| T::from_f64(v)).collect()
}

struct Operands<T> {
    s: Conv3x3Shape,
    x: Vec<T>,
    filter: Vec<T>,
    bias: Vec<T>,
    dy: Vec<T>,
}

/// What the four passes give, written over NaNs.
struct Results<T> {
    y: Vec<T>,
    dx: Vec<T>,
    dfilter: Vec<T>,
    dbias: Vec<T>,
}

impl<T: Real> Operands<T> {
    fn new(s: Conv3x3Shape) -> Operands<T> {
        let pixels = s.n * s.h * s.w;
        Operands {
            s,
            x: cast(&random(1, pixels * s.c)),
            filter: cast(&random(2, s.k * 9 * s.c)),
            bias: cast(&random(3, s.k)),
            dy: cast(&random(4, pixels * s.k)),
        }
    }

    fn run(&self) -> Results<T> {
        let poisoned = |len| vec![T::nan(); len];
        let mut results = Results {
            y: poisoned(self.dy.len()),
            dx: poisoned(self.x.len()),
            dfilter: poisoned(self.filter.len()),
            dbias: poisoned(self.s.k),
        };
        fprop(&self.s, &self.x, &self.filter, Some(&self.bias), &mut results.y);
        dgrad(&self.s, &self.dy, &self.filter, &mut results.dx);
        wgrad(&self.s, &self.x, &self.dy, &mut results.dfilter);
        bias_grad(&self.s, &self.dy, &mut results.dbias);
        results
    }
}

/// The same from the definition: each product of an input, a tap and an output, once.
fn direct(o: &Operands<f64>) -> Results<f64> {
    let Conv3x3Shape { n, h, w, c, k } = o.s;
    let mut results = Results {
        y: vec![0.0; o.dy.len()],
        dx: vec![0.0; o.x.len()],
        dfilter: vec![0.0; o.filter.len()],
        dbias: vec![0.0; k],
    };
    for output in 0..n * h * w {
        let (image, p, q) = (output / (h * w), output / w % h, output % w);
        for k_i in 0..k {
            results.y[output * k + k_i] += o.bias[k_i];
            results.dbias[k_i] += o.dy[output * k + k_i];
        }
        for (r, s) in (0..9).map(|tap| (tap / 3, tap % 3)) {
            if !(1..=h).contains(&(p + r)) || !(1..=w).contains(&(q + s)) {
                continue;
            }
            let x_at = ((image * h + p + r - 1) * w + q + s - 1) * c;
            for k_i in 0..k {
                let (y_at, filter_at) = (output * k + k_i, (k_i * 9 + r * 3 + s) * c);
                for c_i in 0..c {
                    results.y[y_at] += o.x[x_at + c_i] * o.filter[filter_at + c_i];
                    results.dx[x_at + c_i] += o.dy[y_at] * o.filter[filter_at + c_i];
                    results.dfilter[filter_at + c_i] += o.dy[y_at] * o.x[x_at + c_i];
                }
            }
        }
    }
    results
}

/// ‖found − expected‖ / ‖expected‖; NaN counts as infinite.
fn relative_error<T: Real>(found: &[T], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(expected).map(|(&f, e)| f.to_f64() - e));
    let error = difference / norm(&mut expected.iter().copied());
    if error.is_nan() { f64::INFINITY } else { error }
}

fn assert_matches_the_definition<T: Real>(bound: f64) {
    for extents in SHAPES {
        let s = shape(extents);
        let expected = direct(&Operands::new(s));
        let found = Operands::<T>::new(s).run();
        for (pass, found, expected) in [
            ("fprop", &found.y, &expected.y),
            ("dgrad", &found.dx, &expected.dx),
            ("wgrad", &found.dfilter, &expected.dfilter),
            ("bias_grad", &found.dbias, &expected.dbias),
        ] {
            let error = relative_error(found, expected);
            assert!(error < bound, "{pass} of {s:?}: relative error {error:e}, bound {bound:e}");
        }
    }
}

#[test]
fn f64_matches_the_definition() {
    assert_matches_the_definition::<f64>(1e-14);
}

#[test]
fn f32_matches_the_definition() {
    assert_matches_the_definition::<f32>(2e-6);
}

#[test]
fn passes_are_adjoint() {
    for extents in SHAPES {
        let o = Operands::<f64>::new(shape(extents));
        let results = o.run();
        let mut y = vec![f64::NAN; o.dy.len()];
        fprop(&o.s, &o.x, &o.filter, None, &mut y);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let forward = dot(&y, &o.dy);
        let scale = dot(&y, &y).sqrt() * dot(&o.dy, &o.dy).sqrt();
        for backward in [dot(&o.x, &results.dx), dot(&o.filter, &results.dfilter)] {
            assert!((forward - backward).abs() <= 1e-13 * scale, "{:?}: {forward} and {backward}", o.s);
        }
        let ones = vec![1.0; o.dy.len() / o.s.k];
        for (k, dbias) in results.dbias.iter().enumerate() {
            let column: Vec<f64> = o.dy.iter().copied().skip(k).step_by(o.s.k).collect();
            assert!((dot(&column, &ones) - dbias).abs() <= 1e-12 * ones.len() as f64);
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let on_threads = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
        pool.install(|| {
            SHAPES.map(|extents| {
                let r = Operands::<f32>::new(shape(extents)).run();
                [r.y, r.dx, r.dfilter, r.dbias].map(|v| v.into_iter().map(f32::to_bits).collect::<Vec<_>>())
            })
        })
    };
    let expected = on_threads(1);
    for threads in [2, 3, 8] {
        assert!(on_threads(threads) == expected, "{threads} threads");
    }
}

#[test]
fn absent_bias_is_zero() {
    let o = Operands::<f32>::new(shape([2, 5, 6, 4, 20]));
    let (mut without, mut with_zeros) = (vec![f32::NAN; o.dy.len()], vec![f32::NAN; o.dy.len()]);
    fprop(&o.s, &o.x, &o.filter, None, &mut without);
    fprop(&o.s, &o.x, &o.filter, Some(&vec![0.0; o.s.k]), &mut with_zeros);
    assert_eq!(without, with_zeros);
}
