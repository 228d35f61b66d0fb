// Images cut into what one copy of TMA moves: boxes of 64 pixels and 64 channels, 8 KiB of bf16.
#pragma once

constexpr int SIDE = 64;          // of a box
constexpr int BOX = SIDE * SIDE;  // elements of a box
constexpr int TAPS = 9;

// A patch is 64 pixels that one copy moves: side x side pixels of an image, and as many images as make 64 of them. A tap
// moves the whole box; what then lies outside the image is filled with zeros, which is the padding. Patches are counted
// along the rows of an image, then down, then through the images; those past the last lie outside, and cost their time.
struct Patches {
    int side, across, down;

    __device__ __forceinline__ Patches(int side, int H, int W)
        : side(side), across((W + side - 1) / side), down((H + side - 1) / side) {}

    __device__ __forceinline__ int images() const { return SIDE / (side * side); }

    // How many patches N images are.
    __device__ __forceinline__ int count(int N) const { return (N + images() - 1) / images() * down * across; }

    // The first pixel of a patch.
    struct Pixel {
        int n, h, w;
    };
    __device__ __forceinline__ Pixel first(int patch) const {
        const int row = patch / across;
        return {row / down * images(), row % down * side, patch % across * side};
    }
};
