//! A network that explains itself: what it got wrong ([`classify`]), where it looked ([`grad_cam`]),
//! and what it was shown in training ([`samples`]), each as a picture ([`pages`], laid out by
//! [`page`]); and images from anywhere, brought to its size ([`photo`]).

pub mod classify;
pub mod grad_cam;
pub mod page;
pub mod pages;
pub mod photo;
pub mod samples;
pub mod tiles;
