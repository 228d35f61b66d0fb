//! A network that explains itself: what it got wrong ([`classify`]), where it looked ([`grad_cam`]),
//! and what it was shown in training ([`samples`]), each as a picture ([`pages`], drawn by [`page`] on a
//! [`canvas`]); and images from anywhere, brought to its size ([`photo`]).

pub mod canvas;
pub mod classify;
pub mod grad_cam;
pub mod page;
pub mod pages;
pub mod photo;
pub mod samples;
mod tiles;
