# Shorthands; each is a command a person could type.

default:
    @just --list

# Build and run the main job.
train *ARGS:
    cargo run --release -- train {{ARGS}}

# All tests, kernels compiled, nothing that needs a GPU.
test:
    cargo test --release

# What CI runs.
ci:
    .ci/run

# Dependencies: licences, advisories, sources.
deny:
    cargo deny check
