//! The embedded set: the same bytes everywhere, balanced, and not to be told apart by colour alone.

use cugrad::data::{CLASSES, Dataset, IMAGE_BYTES, embedded};
use sha2::{Digest, Sha256};

fn digest(split: &Dataset) -> String {
    Sha256::digest(&split.images).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_bytes_are_the_same_on_every_machine() {
    let (train, test) = embedded::load();
    assert_eq!(digest(&train), "66a74b54d29e1deb75495b335e5abfcb4d50dcc5984e2b15f9108db975294d0a");
    assert_eq!(digest(&test), "b436f605f5e9a758fd27c84aaa5dcd9d73f1fd49e61f307e3ab9209f6a5e45eb");
}

#[test]
fn classes_take_turns() {
    let (train, test) = embedded::load();
    assert_eq!((train.len(), test.len()), (5_000, 1_000));
    for split in [train, test] {
        assert_eq!(split.images.len(), split.len() * IMAGE_BYTES);
        assert_eq!(split.counts(), [split.len() / CLASSES; CLASSES]);
        assert!(split.labels.iter().enumerate().all(|(index, &label)| index % 10 == usize::from(label)));
        assert_eq!(split.classes.len(), CLASSES);
    }
}

#[test]
fn no_image_comes_twice() {
    let (train, test) = embedded::load();
    let images: std::collections::HashSet<&[u8]> =
        train.images.chunks_exact(IMAGE_BYTES).chain(test.images.chunks_exact(IMAGE_BYTES)).collect();
    assert_eq!(images.len(), train.len() + test.len());
}

/// The nearest mean image of a class is the best that a look at single pixels alone can do; it must
/// not do well, or the set would not need a network.
#[test]
fn mean_images_tell_little_of_the_class() {
    let (train, test) = embedded::load();
    let mut means = vec![[0.0f64; IMAGE_BYTES]; CLASSES];
    for (image, &label) in train.images.chunks_exact(IMAGE_BYTES).zip(&train.labels) {
        for (mean, &value) in means[usize::from(label)].iter_mut().zip(image) {
            *mean += f64::from(value) * CLASSES as f64 / train.len() as f64;
        }
    }
    let nearest = |image: &[u8]| {
        let distance = |mean: &[f64; IMAGE_BYTES]| -> f64 {
            mean.iter().zip(image).map(|(m, &v)| (m - f64::from(v)).powi(2)).sum()
        };
        let distances: Vec<f64> = means.iter().map(distance).collect();
        (0..CLASSES).min_by(|&a, &b| distances[a].total_cmp(&distances[b])).unwrap()
    };
    let images = test.images.chunks_exact(IMAGE_BYTES).zip(&test.labels);
    let right = images.filter(|(image, label)| nearest(image) == usize::from(**label)).count();
    assert!(right < test.len() / 4, "{right} of {} are right", test.len());
}
