// augment_apply: picks a batch's images, crops, flips and cuts them as chosen, and normalises the pixels.
//   x[n,h,w,c] = (pixel / 255 - mean[c]) / std[c]
//   pixel = 0 inside the hole, else padded[index[n], h + crop_y, (flip ? 31-w : w) + crop_x, c]
//   padded: the image with 4 black pixels on each side; hole: the HOLE x HOLE pixels around hole_y, hole_x
// In        images [T,32,32,3] u8; index [N] i32; choices [N,5] i32: crop_y, crop_x, flip, hole_y, hole_x
// Out       x [N,32,32,3] f32, overwritten (=)
// Requires  0 <= index[n] < T (checked in src/data/images.rs), 0 <= crop <= 8 (by src/data/transforms.rs);
//           T*3072, N*3072 < 2^31                                         (checked in src/ops/augment/)
// Launch    grid x: blocks of BLOCK_THREADS threads, one element of x a thread
// Numerics  f32; a centre of -1: no hole
// Cost      reads the picked images once, a byte a pixel; writes x once
// Source    torchvision's RandomCrop(32, padding=4), RandomHorizontalFlip; cutout of DeVries, Taylor 2017
constexpr int BLOCK_THREADS = 256;    // host
constexpr int IMAGE_ELEMENTS = 3072;  // host
constexpr int SIZE = 32;
constexpr int COLORS = 3;
static_assert(IMAGE_ELEMENTS == SIZE * SIZE * COLORS, "32 x 32 RGB");
constexpr int PADDING = 4;
constexpr int HOLE = 8;

__device__ __forceinline__ bool in_hole(int at, int centre) {
    return centre >= 0 && at >= centre - HOLE / 2 && at < centre + HOLE / 2;
}

extern "C" __global__ void __launch_bounds__(BLOCK_THREADS)
augment_apply(const unsigned char* __restrict__ images, const int* __restrict__ index, const int* __restrict__ choices,
              float mean0, float mean1, float mean2, float std0, float std1, float std2, float* __restrict__ x, int N) {
    const int i = blockIdx.x * BLOCK_THREADS + threadIdx.x;
    if (i >= N * IMAGE_ELEMENTS) return;
    const int c = i % COLORS, w = i / COLORS % SIZE, h = i / (COLORS * SIZE) % SIZE, n = i / IMAGE_ELEMENTS;
    const int* choices_n = choices + n * 5;
    const int crop_y = choices_n[0], crop_x = choices_n[1], flip = choices_n[2];
    const int hole_y = choices_n[3], hole_x = choices_n[4];

    const int from_h = h + crop_y - PADDING, from_w = (flip ? SIZE - 1 - w : w) + crop_x - PADDING;
    const bool inside = from_h >= 0 && from_h < SIZE && from_w >= 0 && from_w < SIZE;
    const bool hole = in_hole(h, hole_y) && in_hole(w, hole_x);
    const float pixel = inside && !hole ? images[((index[n] * SIZE + from_h) * SIZE + from_w) * COLORS + c] : 0.0f;

    const float mean = c == 0 ? mean0 : c == 1 ? mean1 : mean2;
    const float std = c == 0 ? std0 : c == 1 ? std1 : std2;
    x[i] = (pixel / 255.0f - mean) / std;
}
