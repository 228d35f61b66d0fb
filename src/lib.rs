//! cugrad: a small autograd engine over hand-written CUDA kernels.
