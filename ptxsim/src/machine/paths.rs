//! The diverging paths of a warp and where they meet again.
//!
//! Paths form a tree. Where a branch diverges, the path becomes a *join*, which waits at the branch's
//! immediate post-dominator for its children; each child runs on its own until it gets there. A join
//! that holds back lanes on which the others wait is opened ([`Paths::open_joins`]): its lanes go on
//! alone.

use std::ops::{Index, IndexMut};

use super::context::Waiting;
use super::kernel::NO_JOIN;

/// No parent.
const NONE: u32 = u32::MAX;

/// What a path does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Running,
    /// Waits at `pc` for its children; `mask` are the lanes that have come.
    Join,
}

/// Lanes of a warp that run together, or that will where they meet again.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    state: State,
    pub pc: u32,
    pub mask: u32,
    /// Where this path ends and its parent goes on.
    pub join: u32,
    parent: u32,
    children: u32,
    /// Nonzero once it has told a barrier that it is here.
    pub ticket: u64,
    pub waiting: Waiting,
    /// Lanes that wait as part of a warp-synchronous instruction, until it completes.
    pub gathered: u32,
}

impl Path {
    fn running(pc: u32, mask: u32, join: u32, parent: u32) -> Self {
        Self {
            state: State::Running,
            pc,
            mask,
            join,
            parent,
            children: 0,
            ticket: 0,
            waiting: Waiting::Nothing,
            gathered: 0,
        }
    }

    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// Whether others of the warp may run beside it, or wait for it.
    pub fn has_parent(&self) -> bool {
        self.parent != NONE
    }
}

/// The paths of a warp.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paths {
    all: Vec<Path>,
}

impl Index<usize> for Paths {
    type Output = Path;
    fn index(&self, index: usize) -> &Path {
        &self.all[index]
    }
}

impl IndexMut<usize> for Paths {
    fn index_mut(&mut self, index: usize) -> &mut Path {
        &mut self.all[index]
    }
}

impl Paths {
    /// One path of the lanes `live` from the kernel's start.
    pub fn reset(&mut self, live: u32) {
        self.all.clear();
        self.all.push(Path::running(0, live, NO_JOIN, NONE));
    }

    /// Places for paths, taken or not.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Those that run or wait for something, joins left out.
    pub fn running(&self) -> impl Iterator<Item = &Path> {
        self.all.iter().filter(|path| path.is_running())
    }

    /// Let lanes that wait for others at a join go on without them; false if there are none.
    pub fn open_joins(&mut self) -> bool {
        let mut any = false;
        for index in 0..self.all.len() {
            let Path { state, pc, mask, join, parent, .. } = self.all[index];
            if state != State::Join || mask == 0 {
                continue;
            }
            any = true;
            self.all[index].mask = 0;
            if parent != NONE {
                self.all[parent as usize].children += 1;
            }
            self.add(Path::running(pc, mask, join, parent));
        }
        any
    }

    fn add(&mut self, path: Path) -> usize {
        match self.all.iter().position(|p| p.state == State::Free) {
            Some(index) => {
                self.all[index] = path;
                index
            }
            None => {
                self.all.push(path);
                self.all.len() - 1
            }
        }
    }

    /// A path is over; its lanes have exited or joined the parent.
    pub fn end(&mut self, index: usize) {
        let mut index = index;
        loop {
            let parent = self.all[index].parent;
            self.all[index].state = State::Free;
            if parent == NONE {
                return;
            }
            index = parent as usize;
            let node = &mut self.all[index];
            node.children -= 1;
            if node.children > 0 {
                return;
            }
            if node.mask != 0 {
                node.state = State::Running;
                node.ticket = 0;
                node.waiting = Waiting::Nothing;
                node.gathered = 0;
                return;
            }
        }
    }

    /// Split path `index` into parts that meet again at `join`. The path itself runs the first part.
    pub fn diverge(&mut self, index: usize, parts: &[(u32, u32)], join: u32) {
        let Path { join: old_join, parent: old_parent, .. } = self.all[index];
        let (parent, first) = if join == old_join {
            (old_parent, Some(index))
        } else {
            let node = &mut self.all[index];
            node.state = State::Join;
            node.pc = join;
            node.mask = 0;
            node.children = 0;
            (index as u32, None)
        };
        let mut reuse = first;
        for &(pc, mask) in parts {
            if pc == join && parent != NONE {
                self.all[parent as usize].mask |= mask;
                continue;
            }
            let path = Path::running(pc, mask, join, parent);
            match reuse.take() {
                // The path goes on as its own first part and stays counted as a child.
                Some(own) => self.all[own] = path,
                None => {
                    if parent != NONE {
                        self.all[parent as usize].children += 1;
                    }
                    self.add(path);
                }
            }
        }
        if let Some(own) = reuse {
            self.end(own);
        }
    }

    /// Path `index` has come to where it meets the others.
    pub fn join(&mut self, index: usize) {
        let Path { mask, parent, .. } = self.all[index];
        if parent != NONE {
            self.all[parent as usize].mask |= mask;
        }
        self.end(index);
    }

    /// Lanes of other paths that wait at `pc` as part of a warp-synchronous instruction, and whether a
    /// path before `index` is among them, which then acts for all.
    pub fn others_at(&self, index: usize, pc: u32) -> (u32, bool) {
        let mut mask = 0;
        let mut led = false;
        for (i, path) in self.all.iter().enumerate() {
            if i != index && path.state == State::Running && path.gathered != 0 && path.pc == pc {
                mask |= path.gathered;
                led |= i < index;
            }
        }
        (mask, led)
    }

    /// The instruction that the paths at `pc` gathered for is done: they go on behind it.
    pub fn release_others(&mut self, index: usize, pc: u32) {
        for (i, path) in self.all.iter_mut().enumerate() {
            if i != index && path.state == State::Running && path.gathered != 0 && path.pc == pc {
                path.pc += 1;
                (path.gathered, path.ticket, path.waiting) = (0, 0, Waiting::Nothing);
            }
        }
    }
}
