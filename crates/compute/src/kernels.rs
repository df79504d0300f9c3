//! Kernels in CubeCL: each compiles for CUDA, Vulkan, Metal and, by LLVM, the CPU.
//!
//! Rule: a kernel and its launch know a [`cubecl::client::Client`] and buffers, but neither burn nor
//! any one runtime. What a kernel is for, and which inputs go to it, is decided in [`crate::ops`].

pub(crate) mod components;
pub(crate) mod conv3d;
pub(crate) mod filters;
pub(crate) mod layer_norm;
pub(crate) mod project;
#[cfg(feature = "train")]
pub(crate) mod sums;
pub(crate) mod tiles;
pub(crate) mod windows;
mod words;
