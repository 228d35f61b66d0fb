//! The choices of the augmentation and the order of an epoch.

use cugrad::data::transforms::{Choice, order, rows};

const SAMPLES: u32 = 81_000;

/// Fails unless `count` lies within five standard deviations of a binomial (n = SAMPLES, p).
fn assert_likely(count: u32, p: f64, what: &str) {
    let expected = f64::from(SAMPLES) * p;
    let deviation = (expected * (1.0 - p)).sqrt();
    assert!((f64::from(count) - expected).abs() < 5.0 * deviation, "{what}: {count}, expected {expected}");
}

#[test]
fn every_crop_flip_and_hole_is_equally_likely() {
    let (mut crops, mut flips) = ([[0; 9]; 9], 0);
    let (mut hole_rows, mut hole_columns) = ([0; 32], [0; 32]);
    for index in 0..SAMPLES {
        let choice = Choice::draw(7, 3, index);
        crops[usize::from(choice.crop_y)][usize::from(choice.crop_x)] += 1;
        flips += u32::from(choice.flip);
        let (y, x) = choice.hole.expect("training always cuts a hole");
        hole_rows[usize::from(y)] += 1;
        hole_columns[usize::from(x)] += 1;
    }
    assert_likely(flips, 0.5, "flips");
    for (y, row) in crops.iter().enumerate() {
        for (x, &count) in row.iter().enumerate() {
            assert_likely(count, 1.0 / 81.0, &format!("crop {y},{x}"));
        }
    }
    for position in 0..32 {
        assert_likely(hole_rows[position], 1.0 / 32.0, &format!("hole row {position}"));
        assert_likely(hole_columns[position], 1.0 / 32.0, &format!("hole column {position}"));
    }
}

#[test]
fn a_choice_depends_on_seed_epoch_and_image_alone() {
    let draw_all = |seed, epoch| (0..50).map(|i| Choice::draw(seed, epoch, i)).collect::<Vec<_>>();
    let forwards = draw_all(1, 1);
    let mut backwards: Vec<_> = (0..50).rev().map(|i| Choice::draw(1, 1, i)).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards);
    assert_ne!(forwards, draw_all(2, 1));
    assert_ne!(forwards, draw_all(1, 2));
}

#[test]
fn choices_stay_the_same_between_versions() {
    assert_eq!(rows(42, 1, &[0, 1, 49_999], true), GOLDEN_ROWS);
    assert_eq!(order(42, 1, 10), GOLDEN_ORDER);
}

#[rustfmt::skip]
const GOLDEN_ROWS: [i32; 15] = [8, 8, 0, 28, 20, 6, 1, 1, 8, 23, 8, 6, 0, 30, 24];
const GOLDEN_ORDER: [u32; 10] = [5, 4, 9, 2, 0, 1, 7, 8, 6, 3];

#[test]
fn without_augmentation_every_row_is_the_image_as_it_is() {
    assert_eq!(rows(42, 1, &[5, 6], false), [4, 4, 0, -1, -1, 4, 4, 0, -1, -1]);
}

#[test]
fn an_order_is_a_permutation_of_its_own_epoch() {
    let first = order(42, 0, 1000);
    let mut sorted = first.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
    assert_eq!(first, order(42, 0, 1000));
    assert_ne!(first, order(42, 1, 1000));
    assert_ne!(first, order(43, 0, 1000));
    assert!(order(42, 0, 0).is_empty());
    assert_eq!(order(42, 0, 1), [0]);
}

#[test]
fn every_image_comes_first_equally_often() {
    let mut counts = [0; 9];
    for epoch in 0..SAMPLES {
        counts[order(1, epoch, 9)[0] as usize] += 1;
    }
    for (image, &count) in counts.iter().enumerate() {
        assert_likely(count, 1.0 / 9.0, &format!("image {image} first"));
    }
}
