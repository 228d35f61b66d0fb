//! A drop-in `libcuda.so.1` whose GPU is ptxsim.
//!
//! A program that calls the CUDA driver, itself or through a library, finds the functions of [`api`]
//! where it looks for NVIDIA's: it loads the shared library that this crate builds, under that name.
//! Its kernels then run on the CPU, with every check of ptxsim, and what it does wrong with the driver
//! is found as well. The README says how to set it up and what is and is not there.
//!
//! Inside: `driver` (the process's one driver), `call` (what every function begins with), `state` (all
//! that is guarded by its one lock: `context`, `memory`, `pinned`, `module`, `stream`, `event`,
//! `capture`, `graph`), `queue` and `work`
//! (what is queued, and how it is done), `gpu` (the models of GPU), `report` and
//! `leaks` (what is said), `settings` (the environment).

pub mod api;

mod call;
mod capture;
mod context;
mod driver;
mod error;
mod event;
mod gpu;
mod graph;
mod handle;
mod host;
mod launch;
mod leaks;
mod memory;
mod module;
mod occupancy;
mod pinned;
mod queue;
mod registers;
mod report;
mod settings;
mod state;
mod stream;
mod watch;
mod work;
