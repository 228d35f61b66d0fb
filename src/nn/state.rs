//! Weights in files: safetensors with a PyTorch `state_dict`'s names and layouts.
//!
//! In memory a filter is KRSC; in a file it is OIHW, as PyTorch has it. Files carry the metadata
//! `format: pt`, so `load_state_dict(strict=True)` takes what [`save`] writes, and [`load`] takes what
//! PyTorch writes.

use super::{ResNet, Slot, SlotValue};
use crate::data::CLASSES;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::files::{FileTensor, FileTensors, Metadata, read_tensors, write_tensors};
use crate::tensor::{DType, Tensor};
use safetensors::Dtype;
use std::path::Path;

/// The network's state in the layout of a file.
pub fn to_file(net: &mut ResNet) -> Result<FileTensors> {
    net.slots().into_iter().map(|Slot { name, value }| Ok((name, slot_to_file(&value)?))).collect()
}

fn slot_to_file(value: &SlotValue) -> Result<FileTensor> {
    match value {
        SlotValue::Parameter(t) | SlotValue::Buffer(t) => filter_to_file(t),
        SlotValue::Counter(n) => Ok(FileTensor::new(Dtype::I64, &[], &[**n])),
    }
}

/// A tensor in a file's layout: a filter, which has four axes, goes from KRSC to OIHW.
pub fn filter_to_file(t: &Tensor) -> Result<FileTensor> {
    let file = FileTensor::try_from(t)?;
    let &[k, r, s, c] = t.shape() else { return Ok(file) };
    Ok(FileTensor {
        dtype: file.dtype,
        shape: vec![k, c, r, s],
        bytes: move_channels(&file.bytes, t.dtype().size(), [k, r * s, c]),
    })
}

/// A file's tensor in memory's layout: a filter goes from OIHW to KRSC.
pub fn filter_from_file(t: &FileTensor) -> FileTensor {
    let &[k, c, r, s] = t.shape.as_slice() else { return t.clone() };
    let size = t.bytes.len() / (k * c * r * s).max(1);
    FileTensor {
        dtype: t.dtype,
        shape: vec![k, r, s, c],
        bytes: move_channels(&t.bytes, size, [k, c, r * s]),
    }
}

/// [k][a][b] to [k][b][a], elements of `size` bytes.
fn move_channels(from: &[u8], size: usize, [k, a, b]: [usize; 3]) -> Vec<u8> {
    let mut to = Vec::with_capacity(from.len());
    for k in 0..k {
        for b_at in 0..b {
            for a_at in 0..a {
                let at = ((k * a + a_at) * b + b_at) * size;
                to.extend_from_slice(&from[at..at + size]);
            }
        }
    }
    to
}

/// The key of the metadata that names the classes, a list in JSON.
const CLASS_NAMES: &str = "classes";

/// Writes the network's weights and buffers to a file that PyTorch takes, and what its `classes` are
/// called.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn save(net: &mut ResNet, classes: &[String], path: &Path) -> Result<()> {
    let classes = serde_json::json!(classes).to_string();
    write_tensors(path, &to_file(net)?, Metadata::from([(CLASS_NAMES.into(), classes)]))
}

/// What the classes of a weights file are called; None when it does not say, as one from PyTorch.
///
/// # Errors
/// As [`read_tensors`]; [`Error::Format`] when the names are not one for each class.
pub fn class_names(path: &Path) -> Result<Option<Vec<String>>> {
    let (_, metadata) = read_tensors(path)?;
    let Some(names) = metadata.get(CLASS_NAMES) else { return Ok(None) };
    match serde_json::from_str::<Vec<String>>(names) {
        Ok(names) if names.len() == CLASSES => Ok(Some(names)),
        _ => {
            Err(Error::format(path, format!("its metadata names the classes `{names}`, expected {CLASSES}")))
        }
    }
}

/// Checks that weights that name their classes name those of the data set, `classes`.
///
/// # Errors
/// [`Error::Format`] naming both; as [`class_names`].
pub fn expect_classes(path: &Path, classes: &[String]) -> Result<()> {
    match class_names(path)? {
        Some(names) if names != classes => Err(Error::format(
            path,
            format!(
                "these weights are for the classes {}, the data set's are {}\n  help: choose the other with \
                 --data",
                names.join(", "),
                classes.join(", ")
            ),
        )),
        _ => Ok(()),
    }
}

/// A network with the weights and buffers of a file; its width is the file's.
///
/// # Errors
/// [`Error::Format`] naming the first tensor that is missing, unknown or of another shape.
pub fn load(path: &Path, device: &Device, dtype: DType) -> Result<ResNet> {
    let (tensors, _) = read_tensors(path)?;
    from_file(&tensors, device, dtype).map_err(|why| why.about_file(path))
}

/// A network with the state `tensors`; its width is theirs.
///
/// # Errors
/// [`Error::Config`] naming the first tensor that is missing, unknown or of another shape.
pub fn from_file(tensors: &FileTensors, device: &Device, dtype: DType) -> Result<ResNet> {
    const FIRST: &str = "prep.conv.weight";
    let width = match tensors.get(FIRST).map(|t| t.shape.as_slice()) {
        Some(&[width, 3, 3, 3]) if width > 0 => width,
        Some(shape) => {
            return Err(Error::Config(format!("{FIRST} has the shape {shape:?}, expected [width,3,3,3]")));
        }
        None => {
            return Err(Error::Config(format!(
                "has no tensor {FIRST}: these are not weights of this network"
            )));
        }
    };
    let mut net = ResNet::new(device, dtype, width, 0)?;
    restore(&mut net, tensors)?;
    Ok(net)
}

/// Overwrites the state of `net` by `tensors`, which must be exactly its slots.
///
/// # Errors
/// [`Error::Config`] naming the first tensor that is missing, unknown or of another shape.
pub fn restore(net: &mut ResNet, tensors: &FileTensors) -> Result<()> {
    let slots = net.slots();
    if let Some(unknown) = tensors.keys().find(|name| slots.iter().all(|slot| slot.name != **name)) {
        return Err(Error::Config(format!("has a tensor {unknown} that this network has not")));
    }
    for Slot { name, value } in slots {
        let file = tensors
            .get(&name)
            .ok_or_else(|| Error::Config(format!("has no tensor {name}, which this network has")))?;
        let why = |why: String| Error::Config(format!("{name}: {why}"));
        match value {
            SlotValue::Parameter(t) => *t = load_like(t, file).map_err(why)?.with_grad(),
            SlotValue::Buffer(t) => *t = load_like(t, file).map_err(why)?,
            SlotValue::Counter(n) => {
                let values = file.to_f64_vec().map_err(why)?;
                let &[count] = values.as_slice() else {
                    return Err(Error::Config(format!("{name} has {} values, expected 1", values.len())));
                };
                *n = count as i64;
            }
        }
    }
    Ok(())
}

/// The tensor of a file, where `like` is and of its type, if it has its shape.
///
/// # Errors
/// What does not fit.
pub fn load_like(like: &Tensor, file: &FileTensor) -> std::result::Result<Tensor, String> {
    let loaded = filter_from_file(file);
    if loaded.shape != like.shape() {
        return Err(format!("has the shape {:?}, expected {:?}", file.shape, file_shape(like.shape())));
    }
    loaded.to_tensor(&like.device(), like.dtype())
}

/// The shape that a tensor of memory's `shape` has in a file.
pub fn file_shape(shape: &[usize]) -> Vec<usize> {
    match *shape {
        [k, r, s, c] => vec![k, c, r, s],
        _ => shape.to_vec(),
    }
}
