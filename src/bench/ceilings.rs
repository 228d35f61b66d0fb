//! What this machine can do at most, as far as this program can show it.

use super::cases::widest_convolution;
use super::{Effort, Prepared, measure};
use crate::device::{Device, Gpu};
use crate::error::Result;
use rayon::prelude::*;
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The two rates that the kernels are held against.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ceilings {
    /// The best matrix rate that was reached: by a wide convolution, or by any row of the table.
    pub matmul_tflops: f64,
    /// Bytes read plus bytes written by a copy within the device's memory.
    pub copy_tb_s: f64,
}

impl Ceilings {
    /// Measures both; `n` images are in the convolution.
    ///
    /// # Errors
    /// What the device reports.
    pub fn measure(device: &Device, n: usize, effort: Effort) -> Result<Ceilings> {
        let case = widest_convolution(n)?;
        let mut prepared = Prepared::new(&case, device)?;
        let calls = prepared.calls();
        let convolution = measure(effort, calls, || prepared.burst())?;
        drop(prepared);
        let (bytes, copy) = match device {
            Device::Cpu => copy_on_cpu(effort)?,
            Device::Gpu(gpu) => copy_on_gpu(gpu, effort)?,
        };
        Ok(Ceilings {
            matmul_tflops: case.flop / convolution.seconds / 1e12,
            copy_tb_s: 2.0 * bytes as f64 / copy / 1e12,
        })
    }
}

/// Bytes of a copy, and its seconds.
fn copy_on_gpu(gpu: &Arc<Gpu>, effort: Effort) -> Result<(usize, f64)> {
    // Beyond any cache, and a small part of any GPU's memory.
    let bytes = (gpu.driver().info().memory_bytes / 16).clamp(64 << 20, 4 << 30);
    let (mut from, mut to) = (gpu.alloc(bytes)?, gpu.alloc(bytes)?);
    from.fill(0x5a)?;
    let mut copy = || {
        let start = gpu.driver().record_event()?;
        to.copy_from(&from)?;
        let end = gpu.driver().record_event()?;
        Ok(Duration::from_secs_f64(end.ms_since(&*start)? / 1e3))
    };
    copy()?;
    Ok((bytes, measure(effort, 1, copy)?.seconds))
}

fn copy_on_cpu(effort: Effort) -> Result<(usize, f64)> {
    const CHUNK: usize = 1 << 18;
    const LEN: usize = 128 * CHUNK;
    let from: Vec<f32> = (0..LEN).map(|i| i as f32).collect();
    let mut to = vec![0.0; LEN];
    let mut copy = || {
        let started = Instant::now();
        to.par_chunks_mut(CHUNK).zip(from.par_chunks(CHUNK)).for_each(|(to, from)| to.copy_from_slice(from));
        std::hint::black_box(&mut to);
        Ok(started.elapsed())
    };
    copy()?;
    Ok((4 * LEN, measure(effort, 1, copy)?.seconds))
}
