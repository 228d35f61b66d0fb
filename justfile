# Shorthands; each is a command a person could type.

default:
    @just --list

# Build and run the main job.
train *ARGS:
    cargo run --release -- train {{ARGS}}

# All tests, kernels compiled, nothing that needs a GPU.
test:
    cargo test --release

# Every operation and the training step, measured by the program itself.
bench *ARGS:
    CUGRAD_COMMIT=$(git describe --always --dirty=+ --abbrev=12 --exclude '*') cargo run --release -- bench {{ARGS}}

# What CI runs.
ci:
    .ci/run

# Dependencies: licences, advisories, sources.
deny:
    cargo deny check
