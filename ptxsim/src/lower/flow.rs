//! Control flow: where diverging paths meet again.

use crate::machine::kernel::{Instruction, NO_JOIN};

/// Set each jump's `join` to the first instruction of its immediate post-dominator.
pub(super) fn set_joins(instructions: &mut [Instruction]) {
    let graph = Graph::new(instructions);
    let dominators = graph.post_dominators();
    for (block, &last) in graph.last.iter().enumerate() {
        let instruction = &mut instructions[last];
        if instruction.targets.is_empty() {
            continue;
        }
        instruction.join = match dominators[block] {
            Some(meet) if meet < graph.first.len() => graph.first[meet] as u32,
            _ => NO_JOIN,
        };
    }
}

/// Basic blocks by number; the number after the last stands for the kernel's end.
struct Graph {
    first: Vec<usize>,
    last: Vec<usize>,
    successors: Vec<Vec<usize>>,
}

impl Graph {
    fn new(instructions: &[Instruction]) -> Self {
        let mut leads = vec![false; instructions.len() + 1];
        leads[0] = true;
        for (pc, instruction) in instructions.iter().enumerate() {
            if !instruction.targets.is_empty() || instruction.exits {
                leads[pc + 1] = true;
            }
            for &target in &instruction.targets {
                leads[target as usize] = true;
            }
        }
        let first: Vec<usize> = (0..instructions.len()).filter(|&pc| leads[pc]).collect();
        let last: Vec<usize> =
            (0..first.len()).map(|b| first.get(b + 1).copied().unwrap_or(instructions.len()) - 1).collect();
        let block_of = |pc: usize| first.partition_point(|&f| f <= pc) - 1;
        let end = first.len();
        let successors = (0..first.len())
            .map(|b| {
                let instruction = &instructions[last[b]];
                let mut out: Vec<usize> = instruction.targets.iter().map(|&t| block_of(t as usize)).collect();
                let falls_through = instruction.guard.is_some() || (out.is_empty() && !instruction.exits);
                if falls_through && b + 1 < end {
                    out.push(b + 1);
                }
                if instruction.exits || out.is_empty() {
                    out.push(end);
                }
                out
            })
            .collect();
        Self { first, last, successors }
    }

    /// The immediate post-dominator of each block; none for one that cannot reach the end.
    fn post_dominators(&self) -> Vec<Option<usize>> {
        let end = self.first.len();
        let mut predecessors = vec![Vec::new(); end + 1];
        for (block, successors) in self.successors.iter().enumerate() {
            for &successor in successors {
                predecessors[successor].push(block);
            }
        }
        // Reverse post-order of the reversed graph, from the end.
        let mut order = Vec::new();
        let mut rank = vec![usize::MAX; end + 1];
        let mut seen = vec![false; end + 1];
        let mut stack = vec![(end, 0)];
        seen[end] = true;
        while let Some((node, next)) = stack.pop() {
            match predecessors[node].get(next) {
                Some(&p) => {
                    stack.push((node, next + 1));
                    if !seen[p] {
                        seen[p] = true;
                        stack.push((p, 0));
                    }
                }
                None => order.push(node),
            }
        }
        order.reverse();
        for (i, &node) in order.iter().enumerate() {
            rank[node] = i;
        }
        // Cooper, Harvey and Kennedy's iteration.
        let mut dominator: Vec<Option<usize>> = vec![None; end + 1];
        dominator[end] = Some(end);
        let mut changed = true;
        while changed {
            changed = false;
            for &node in &order[1..] {
                let mut meet = None;
                for &successor in &self.successors[node] {
                    if dominator[successor].is_none() {
                        continue;
                    }
                    meet = Some(match meet {
                        None => successor,
                        Some(other) => intersect(&dominator, &rank, other, successor),
                    });
                }
                if dominator[node] != meet {
                    dominator[node] = meet;
                    changed = true;
                }
            }
        }
        dominator
    }
}

fn intersect(dominator: &[Option<usize>], rank: &[usize], a: usize, b: usize) -> usize {
    let (mut a, mut b) = (a, b);
    while a != b {
        while rank[a] > rank[b] {
            a = dominator[a].unwrap_or(b);
        }
        while rank[b] > rank[a] {
            b = dominator[b].unwrap_or(a);
        }
    }
    a
}
