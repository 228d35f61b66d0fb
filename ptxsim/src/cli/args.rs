//! Values of the command line: dimensions, and a kernel's arguments.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use ptxsim::{Arg, Device};

use super::Failure;

/// One to three sizes, the missing ones 1.
#[derive(Clone, Copy)]
pub(crate) struct Dimensions(pub [u32; 3]);

impl FromStr for Dimensions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut sizes = [1; 3];
        let parts: Vec<&str> = text.split(',').collect();
        if parts.len() > 3 {
            return Err(format!("one to three sizes such as 4,2,1, not {}", parts.len()));
        }
        for (size, part) in sizes.iter_mut().zip(parts) {
            *size = part.trim().parse().map_err(|e| format!("`{part}` is no size: {e}"))?;
        }
        Ok(Self(sizes))
    }
}

/// An argument of a kernel.
#[derive(Clone)]
pub(crate) enum Argument {
    Value(Arg),
    Buffer { bytes: usize, load: Option<PathBuf>, save: Option<PathBuf>, zero: bool },
}

impl FromStr for Argument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').ok_or("expected KIND:VALUE, such as u32:5 or in:f32:FILE")?;
        let value = |arg: Option<Arg>| {
            arg.map(Argument::Value).ok_or_else(|| format!("`{rest}` is no value of type {kind}"))
        };
        match kind {
            "u32" => value(rest.parse().ok().map(Arg::U32)),
            "i32" | "s32" => value(rest.parse().ok().map(Arg::I32)),
            "u64" => value(rest.parse().ok().map(Arg::U64)),
            "i64" | "s64" => value(rest.parse().ok().map(Arg::I64)),
            "f32" => value(rest.parse().ok().map(Arg::F32)),
            "f64" => value(rest.parse().ok().map(Arg::F64)),
            "in" | "inout" => {
                let (_, file) = typed(kind, rest, "FILE")?;
                let save = (kind == "inout").then(|| file.into());
                Ok(Argument::Buffer { bytes: 0, load: Some(file.into()), save, zero: false })
            }
            "out" => {
                let (width, rest) = typed(kind, rest, "COUNT:FILE")?;
                let (count, file) = rest.split_once(':').ok_or("expected out:TYPE:COUNT:FILE")?;
                let bytes = size(count, width)?;
                Ok(Argument::Buffer { bytes, load: None, save: Some(file.into()), zero: false })
            }
            "zero" => {
                let (width, count) = typed(kind, rest, "COUNT")?;
                Ok(Argument::Buffer { bytes: size(count, width)?, load: None, save: None, zero: true })
            }
            _ => Err(format!(
                "`{kind}` is no kind of argument; there are u32, i32, u64, i64, f32, f64, in, out, inout, zero"
            )),
        }
    }
}

/// The width of a buffer's type, and what follows it.
fn typed<'t>(kind: &str, text: &'t str, form: &str) -> Result<(usize, &'t str), String> {
    let (ty, rest) = text.split_once(':').ok_or_else(|| format!("expected {kind}:TYPE:{form}"))?;
    let width = match ty {
        "u8" | "i8" | "s8" | "b8" => 1,
        "u16" | "i16" | "s16" | "b16" | "f16" | "bf16" => 2,
        "u32" | "i32" | "s32" | "b32" | "f32" => 4,
        "u64" | "i64" | "s64" | "b64" | "f64" => 8,
        _ => return Err(format!("`{ty}` is no type of a buffer")),
    };
    Ok((width, rest))
}

fn size(count: &str, width: usize) -> Result<usize, String> {
    let count: usize = count.parse().map_err(|e| format!("`{count}` is no count: {e}"))?;
    count.checked_mul(width).ok_or_else(|| format!("{count} elements are too many"))
}

impl Argument {
    /// The argument to pass, its buffer made and filled.
    pub fn place(&self, device: &Device) -> Result<Arg, Failure> {
        match self {
            Argument::Value(arg) => Ok(arg.clone()),
            Argument::Buffer { load: Some(file), .. } => {
                let data = std::fs::read(file).map_err(|e| unusable(file, "read", &e))?;
                let address = device.alloc(data.len())?;
                device.write(address, &data)?;
                Ok(Arg::U64(address))
            }
            Argument::Buffer { bytes, zero, .. } => {
                let address = device.alloc(*bytes)?;
                if *zero {
                    device.fill(address, 0, *bytes)?;
                }
                Ok(Arg::U64(address))
            }
        }
    }

    /// Write an output buffer to its file.
    pub fn save(&self, device: &Device, placed: &Arg) -> Result<(), Failure> {
        let (Argument::Buffer { bytes, load, save: Some(file), .. }, Arg::U64(address)) = (self, placed)
        else {
            return Ok(());
        };
        let length = match load {
            Some(file) => std::fs::metadata(file).map_err(|e| unusable(file, "read", &e))?.len() as usize,
            None => *bytes,
        };
        let mut data = vec![0; length];
        device.read(*address, &mut data)?;
        std::fs::write(file, data).map_err(|e| unusable(file, "written", &e))
    }
}

fn unusable(file: &Path, done: &str, error: &std::io::Error) -> Failure {
    Failure::Usage(format!("{} cannot be {done}: {error}", file.display()))
}
