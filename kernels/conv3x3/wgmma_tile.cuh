// A convolution's tiles on Hopper: fprop and dgrad as one product that runs from TMA to TMA.
//   out[channel, pixel] = sum_{tap, d} filter[channel, tap, d] * in[pixel moved by tap, d]
//
// Channels are rows and pixels are columns of the product (gemm_m, gemm_n), so that a channel's bias, and its sums over
// pixels, belong to one row, and neighbouring pixels to one thread. d runs over the channels of `in`: gemm_k is 9 taps
// times d, taken in steps of 64 d of one tap.
//
// A block of three warpgroups stays on its multiprocessor and takes one tile after the other. One producer thread has
// the operands of a step copied to a stage of shared memory; two warpgroups multiply what has landed:
//
//   producer        copy 0   copy 1   copy 2   copy 3   copy 4 ..     a stage is filled again
//                      |        |        |        |        |          once both have released it
//   consumers                multiply 0     multiply 1     multiply 2 ..
//
// Everything in shared memory is made of boxes of 64 x 64 bf16, 8 KiB, under TMA's 128-byte swizzle: 64 channels of a
// filter times 64 d; the pixels of a patch times 64 d; on the way out, the pixels of a patch times 64 channels.
#pragma once

#include "common/bf16.cuh"
#include "common/tma.cuh"
#include "common/wgmma.cuh"
#include "conv3x3/patches.cuh"

constexpr int PATCHES = 4;  // of a tile
constexpr int STAGES = 4;
constexpr int CONSUMER_WARPS = 8;
constexpr int TILE_THREADS = 3 * WARPGROUP;

// A tile is 4 patches of pixels and CHANNELS channels. With 128 channels each consumer takes half of them, for all
// pixels; with 64 (a layer that has no more), all of them for half of the pixels.
template <int CHANNELS>
struct Tile {
    static_assert(CHANNELS == 64 || CHANNELS == 128, "a consumer multiplies 64 channels");
    static constexpr int CHANNEL_BOXES = CHANNELS / SIDE;
    static constexpr int OWN_PATCHES = CHANNELS == 128 ? PATCHES : PATCHES / 2;  // a consumer's
    static constexpr int STAGE_BYTES = (CHANNEL_BOXES + PATCHES) * BOX * 2;

    struct alignas(1024) Memory {
        bf16 filter[STAGES][CHANNEL_BOXES][BOX];
        bf16 pixels[STAGES][PATCHES][BOX];
        bf16 out[2][2][BOX];  // two for each consumer: one is being stored while the other is written
        Pipeline<STAGES, CONSUMER_WARPS> pipeline;
    };

    // What a consumer holds of the tile, and where: 64 channels from `channel`, OWN_PATCHES patches from `patch`.
    using Sums = float[OWN_PATCHES * SIDE / 2];
    int channel, patch;

    static __device__ __forceinline__ Tile of(int index, int channel_tiles) {
        return {index % channel_tiles * CHANNELS, index / channel_tiles * PATCHES};
    }
    __device__ __forceinline__ Tile of_consumer(int consumer) const {
        return CHANNELS == 128 ? Tile{channel + consumer * SIDE, patch} : Tile{channel, patch + consumer * OWN_PATCHES};
    }
};

// One convolution, seen from either pass.
struct TileProduct {
    Patches patches;
    int N, depth, channels;  // depth: how many d there are

    template <int CHANNELS>
    __device__ __forceinline__ int channel_tiles() const {
        return (channels + CHANNELS - 1) / CHANNELS;
    }
    template <int CHANNELS>
    __device__ __forceinline__ int tiles() const {
        return (patches.count(N) + PATCHES - 1) / PATCHES * channel_tiles<CHANNELS>();
    }
    __device__ __forceinline__ int steps() const { return TAPS * ((depth + SIDE - 1) / SIDE); }
};

// The producer, one thread. The filter lies in memory as [K,3,3,C]. Of fprop d is C, so a box's rows are along d
// (K_MAJOR); of dgrad d is K, so they are across (MN_MAJOR), and the taps come in reverse.
template <int CHANNELS, Major FILTER>
__device__ __forceinline__ void produce(typename Tile<CHANNELS>::Memory& memory, const TileProduct& product,
                                        const TensorMap& in, const TensorMap& filter) {
    using Tile = Tile<CHANNELS>;
    prefetch(in);
    prefetch(filter);
    typename Pipeline<STAGES, CONSUMER_WARPS>::Place at{0, 0};
    for (int index = blockIdx.x; index < product.tiles<CHANNELS>(); index += gridDim.x) {
        const Tile tile = Tile::of(index, product.channel_tiles<CHANNELS>());
        Patches::Pixel first[PATCHES];
#pragma unroll
        for (int i = 0; i < PATCHES; ++i) first[i] = product.patches.first(tile.patch + i);

        for (int tap = 0; tap < TAPS; ++tap) {
            const int r = tap / 3, s = tap % 3;
            for (int d = 0; d < product.depth; d += SIDE) {
                Barrier& landed = memory.pipeline.fill(at, Tile::STAGE_BYTES);
#pragma unroll
                for (int i = 0; i < Tile::CHANNEL_BOXES; ++i) {
                    const int channel = tile.channel + i * SIDE;
                    bf16* box = memory.filter[at.stage][i];
                    if (FILTER == K_MAJOR) load_box(box, filter, landed, d, tap, channel);
                    if (FILTER == MN_MAJOR) load_box(box, filter, landed, channel, TAPS - 1 - tap, d);
                }
#pragma unroll
                for (int i = 0; i < PATCHES; ++i) {
                    const auto [n, h, w] = first[i];
                    load_box(memory.pixels[at.stage][i], in, landed, d, w + s - 1, h + r - 1, n);
                }
                at.advance();
            }
        }
    }
}

// The main loop of a consumer: sums its part of one tile. While a step is multiplied, the next one may start; so a stage
// is released a step late.
template <int CHANNELS, Major FILTER>
__device__ __forceinline__ void multiply_tile(typename Tile<CHANNELS>::Sums& sums,
                                              typename Tile<CHANNELS>::Memory& memory,
                                              typename Pipeline<STAGES, CONSUMER_WARPS>::Place& at, int consumer,
                                              int steps) {
    constexpr int N = Tile<CHANNELS>::OWN_PATCHES * SIDE;
    const int box = CHANNELS == 128 ? consumer : 0, patch = CHANNELS == 128 ? 0 : consumer * Tile<CHANNELS>::OWN_PATCHES;
    const bool releases = threadIdx.x % 32 == 0;
    int before = at.stage;
    for (int step = 0; step < steps; ++step) {
        memory.pipeline.wait_until_full(at);
        const unsigned long long a = operand_at(memory.filter[at.stage][box]);
        const unsigned long long b = operand_at(memory.pixels[at.stage][patch]);
        begin_products();
#pragma unroll
        for (int k = 0; k < SIDE / WGMMA_K; ++k) {
            multiply<N, FILTER, K_MAJOR>(sums, a + k * NEXT_K<FILTER>, b + k * NEXT_K<K_MAJOR>, step > 0 || k > 0);
        }
        commit_products();
        wait_for_products<1>(sums);
        if (step > 0 && releases) memory.pipeline.release(before);
        before = at.stage;
        at.advance();
    }
    wait_for_products<0>(sums);
    if (releases) memory.pipeline.release(before);
}

// The epilogue of a consumer: its sums, rounded, go to `out` patch by patch, through shared memory. Of its two boxes one
// is stored by TMA while the other is written.
template <int CHANNELS>
__device__ __forceinline__ void store_tile(const typename Tile<CHANNELS>::Sums& sums, bf16 (&boxes)[2][BOX],
                                           const TensorMap& out, const Patches& patches, const Tile<CHANNELS>& own,
                                           int consumer) {
    const int warp = threadIdx.x / 32 % 4, lane = threadIdx.x % 32;
    const bool stores = threadIdx.x % WARPGROUP == 0;
#pragma unroll
    for (int i = 0; i < Tile<CHANNELS>::OWN_PATCHES; ++i) {
        bf16* box = boxes[i % 2];
        if (stores) wait_for_stores_to_read<1>();
        sync_warpgroup(consumer);  // the box has been stored
        // A warp has 16 channels, so two chunks of 8 channels of each pixel; 16 pixels at a time.
#pragma unroll
        for (int pixel = 0; pixel < SIDE; pixel += 16) {
            const float* sum = sums + (i * SIDE + pixel) / 2;
            const unsigned word[4] = {pack_bf16(sum[0], sum[1]), pack_bf16(sum[2], sum[3]), pack_bf16(sum[4], sum[5]),
                                      pack_bf16(sum[6], sum[7])};
            const int row = pixel + lane / 16 * 8 + lane % 8, chunk = warp * 2 + lane / 8 % 2;
            store_columns(box + row * SIDE + (chunk ^ row % 8) * 8, word);
        }
        publish_to_async_proxy();
        sync_warpgroup(consumer);  // the box is complete
        if (stores) {
            const auto [n, h, w] = patches.first(own.patch + i);
            store_box(out, box, own.channel, w, h, n);
            commit_stores();
        }
    }
}

// The whole block: every tile of the product, gridDim.x apart. finish(sums, tile) makes of a consumer's sums what is to
// be stored.
template <int CHANNELS, Major FILTER, class Finish>
__device__ __forceinline__ void run_tiles(void* shared, const TileProduct& product, const TensorMap& in,
                                          const TensorMap& filter, const TensorMap& out, Finish finish) {
    using Tile = Tile<CHANNELS>;
    auto& memory = *static_cast<typename Tile::Memory*>(shared);
    if (threadIdx.x == 0) memory.pipeline.init();
    __syncthreads();  // the pipeline is ready

    if (threadIdx.x < WARPGROUP) {
        give_registers<40>();
        if (threadIdx.x == 0) produce<CHANNELS, FILTER>(memory, product, in, filter);
        return;
    }
    take_registers<232>();
    const int consumer = threadIdx.x / WARPGROUP - 1;
    typename Pipeline<STAGES, CONSUMER_WARPS>::Place at{0, 0};
    for (int index = blockIdx.x; index < product.tiles<CHANNELS>(); index += gridDim.x) {
        typename Tile::Sums sums;
        multiply_tile<CHANNELS, FILTER>(sums, memory, at, consumer, product.steps());
        const Tile own = Tile::of(index, product.channel_tiles<CHANNELS>()).of_consumer(consumer);
        finish(sums, own);
        store_tile<CHANNELS>(sums, memory.out[consumer], out, product.patches, own, consumer);
    }
    if (threadIdx.x % WARPGROUP == 0) wait_for_stores_to_read<0>();  // shared memory ends with the block
}
