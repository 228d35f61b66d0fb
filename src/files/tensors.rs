//! Tensors in safetensors files.

use super::write_atomically;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::tensor::{DType, Tensor};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// A tensor as a file holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct FileTensor {
    /// The element type.
    pub dtype: Dtype,
    /// The extents, outermost first.
    pub shape: Vec<usize>,
    /// The elements, little-endian.
    pub bytes: Vec<u8>,
}

impl FileTensor {
    /// A tensor of the file from `values`.
    pub fn new<T: bytemuck::Pod>(dtype: Dtype, shape: &[usize], values: &[T]) -> FileTensor {
        FileTensor { dtype, shape: shape.to_vec(), bytes: bytemuck::cast_slice(values).to_vec() }
    }

    /// The elements as f64, exactly.
    ///
    /// # Errors
    /// What the type is, when it is none that widens to f64.
    pub fn to_f64_vec(&self) -> std::result::Result<Vec<f64>, String> {
        fn cast<T: bytemuck::AnyBitPattern + bytemuck::NoUninit>(bytes: &[u8]) -> Vec<T> {
            bytemuck::pod_collect_to_vec(bytes)
        }
        Ok(match self.dtype {
            Dtype::F64 => cast::<f64>(&self.bytes),
            Dtype::F32 => cast::<f32>(&self.bytes).into_iter().map(f64::from).collect(),
            Dtype::F16 => cast::<half::f16>(&self.bytes).into_iter().map(f64::from).collect(),
            Dtype::BF16 => cast::<half::bf16>(&self.bytes).into_iter().map(f64::from).collect(),
            Dtype::I64 => cast::<i64>(&self.bytes).into_iter().map(|x| x as f64).collect(),
            Dtype::I32 => cast::<i32>(&self.bytes).into_iter().map(f64::from).collect(),
            Dtype::U8 => self.bytes.iter().copied().map(f64::from).collect(),
            other => return Err(format!("elements of type {other:?}, which is not supported")),
        })
    }

    /// The tensor on `device`, rounded to `dtype`.
    ///
    /// # Errors
    /// As [`FileTensor::to_f64_vec`], or what the device reports.
    pub fn to_tensor(&self, device: &Device, dtype: DType) -> std::result::Result<Tensor, String> {
        Tensor::from_f64(device, dtype, self.to_f64_vec()?, &self.shape).map_err(|e| e.to_string())
    }
}

impl TryFrom<&Tensor> for FileTensor {
    type Error = Error;

    fn try_from(t: &Tensor) -> Result<FileTensor> {
        Ok(match t.dtype() {
            DType::F32 => FileTensor::new(Dtype::F32, t.shape(), &t.to_vec::<f32>()?),
            DType::F64 => FileTensor::new(Dtype::F64, t.shape(), &t.to_vec::<f64>()?),
            DType::BF16 => FileTensor::new(Dtype::BF16, t.shape(), &t.to_vec::<half::bf16>()?),
            DType::I32 => FileTensor::new(Dtype::I32, t.shape(), &t.to_vec::<i32>()?),
            DType::U8 => FileTensor::new(Dtype::U8, t.shape(), &t.to_vec::<u8>()?),
        })
    }
}

/// Named tensors of a file, in the order of their names.
pub type FileTensors = BTreeMap<String, FileTensor>;

/// A file's own words about its tensors, by key.
pub type Metadata = HashMap<String, String>;

/// How a zip archive begins.
const ZIP: &[u8] = b"PK\x03\x04";

/// Reads all tensors of a safetensors file, and its metadata.
///
/// # Errors
/// [`Error::Io`], or [`Error::Format`] when it is no whole safetensors file.
pub fn read_tensors(path: &Path) -> Result<(FileTensors, Metadata)> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    if bytes.starts_with(ZIP) {
        return Err(Error::format(
            path,
            "is an archive, as torch.save writes it, expected a safetensors file\n  help: in Python, \
             safetensors.torch.save_file(torch.load(\"FILE\"), \"FILE.safetensors\") makes one of a state_dict",
        ));
    }
    let broken = |e| Error::format(path, format!("not a whole safetensors file ({e})"));
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(broken)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let tensors = SafeTensors::deserialize(&bytes)
        .map_err(broken)?
        .iter()
        .map(|(name, view)| {
            let tensor =
                FileTensor { dtype: view.dtype(), shape: view.shape().to_vec(), bytes: view.data().to_vec() };
            (name.to_string(), tensor)
        })
        .collect();
    Ok((tensors, metadata))
}

/// Writes a safetensors file whole or not at all, with `format: pt` among its metadata.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn write_tensors(path: &Path, tensors: &FileTensors, mut metadata: Metadata) -> Result<()> {
    metadata.insert("format".into(), "pt".into());
    let views = tensors
        .iter()
        .map(|(name, t)| Ok((name, TensorView::new(t.dtype, t.shape.clone(), &t.bytes)?)))
        .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>();
    let bytes = views
        .and_then(|views| safetensors::serialize(views, None))
        .map_err(|e| e.to_string())
        .and_then(|bytes| with_metadata(&bytes, metadata))
        .map_err(|why| Error::format(path, format!("cannot be made into a safetensors file: {why}")))?;
    write_atomically(path, &bytes)
}

/// A safetensors file with `metadata` in its header, in the order of the keys: the crate would write
/// them in the order of a hash map, which changes from run to run, and equal weights are equal bytes.
fn with_metadata(file: &[u8], metadata: Metadata) -> std::result::Result<Vec<u8>, String> {
    let (length, rest) = file.split_first_chunk().ok_or("it has no header")?;
    let length = u64::from_le_bytes(*length) as usize;
    let (header, tensors) = rest.split_at_checked(length).ok_or("its header is cut off")?;
    let mut header: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(header).map_err(|e| e.to_string())?;
    let metadata: BTreeMap<String, String> = metadata.into_iter().collect();
    header.insert("__metadata__".into(), serde_json::json!(metadata));
    let mut header = serde_json::to_vec(&header).map_err(|e| e.to_string())?;
    // The format wants the tensors to begin at a multiple of 8.
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok([&(header.len() as u64).to_le_bytes(), header.as_slice(), tensors].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_tensors_and_metadata_are_equal_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let tensors = FileTensors::from([
            ("b".into(), FileTensor::new(Dtype::F32, &[3], &[1.0f32, 2.0, 3.0])),
            ("a".into(), FileTensor::new(Dtype::I64, &[], &[7i64])),
        ]);
        // Each map hashes by a seed of its own, so their orders differ sooner or later.
        let write = |i: usize| {
            let metadata: Metadata = (0..8).map(|k| (format!("key {k}"), format!("{{\"{k}\"}}"))).collect();
            let path = folder.path().join(format!("{i}.safetensors"));
            write_tensors(&path, &tensors, metadata).unwrap();
            path
        };
        let first = write(0);
        for i in 1..8 {
            assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(write(i)).unwrap());
        }
        let (read, metadata) = read_tensors(&first).unwrap();
        assert_eq!(read, tensors);
        assert_eq!(metadata["key 3"], "{\"3\"}");
        assert_eq!(metadata["format"], "pt");
        assert_eq!(metadata.len(), 9);
    }
}
