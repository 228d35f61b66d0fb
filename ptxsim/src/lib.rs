//! ptxsim runs PTX kernels on the CPU, finds their faults and counts what they do.
