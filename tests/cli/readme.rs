//! What the README shows of the program is what it prints.

use crate::program::{cugrad, run};

#[test]
fn the_profile_is_what_the_program_prints() {
    let readme = include_str!("../../README.md");
    let (_, shown) = readme.split_once("$ cugrad kernels profile ").expect("the README shows a profile");
    let (shown, _) = shown.split_once("```").expect("the block ends");
    let mut shown = shown.lines();
    let arguments = shown.next().unwrap().split(' ');
    let printed = run(&mut cugrad(["kernels", "profile"].into_iter().chain(arguments))).succeeded();
    // Registers, instructions and what follows from them are another compiler's to change; how the kernel
    // uses memory is not.
    let shown = shown.skip_while(|line| !line.starts_with("global memory"));
    let held: Vec<&str> = shown.take_while(|line| !line.starts_with("least time")).collect();
    assert!(held.len() > 6, "{held:?}");
    assert!(printed.contains(&held.join("\n")), "expected\n{}\nin\n{printed}", held.join("\n"));
}
