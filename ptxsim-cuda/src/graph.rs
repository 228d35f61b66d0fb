//! Graphs: work with what it comes after, to be queued as a whole.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::handle::{Id, fresh};
use crate::queue::WorkId;
use crate::state::State;
use crate::work::Work;

/// A graph that can still change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    pub nodes: BTreeMap<Id, Node>,
}

/// A node of a graph.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub work: Work,
    /// The nodes that it comes after.
    pub needs: BTreeSet<Id>,
}

/// A graph that can be launched: its nodes, each after those that it needs.
#[derive(Debug)]
pub(crate) struct Executable {
    pub nodes: Vec<(Id, Node)>,
    /// The end of its last launch, before which it cannot run again.
    pub last: Option<WorkId>,
}

impl Graph {
    /// Adds a node; its handle.
    pub fn add(&mut self, work: Work, needs: BTreeSet<Id>) -> Id {
        let id = fresh();
        self.nodes.insert(id, Node { work, needs });
        id
    }

    /// All that comes before `ends`, and these.
    pub fn ancestors(&self, ends: &BTreeSet<Id>) -> BTreeSet<Id> {
        let mut found = BTreeSet::new();
        let mut open: Vec<Id> = ends.iter().copied().collect();
        while let Some(id) = open.pop() {
            if found.insert(id)
                && let Some(node) = self.nodes.get(&id)
            {
                open.extend(&node.needs);
            }
        }
        found
    }

    /// The graph, ready to be launched.
    pub fn instantiate(&self) -> Result<Executable> {
        let (mut nodes, mut done) = (Vec::with_capacity(self.nodes.len()), BTreeSet::new());
        while nodes.len() < self.nodes.len() {
            let before = nodes.len();
            for (&id, node) in &self.nodes {
                if !done.contains(&id) && node.needs.is_subset(&done) {
                    done.insert(id);
                    nodes.push((id, node.clone()));
                }
            }
            if nodes.len() == before {
                return Err(Error::value("nodes of the graph come after themselves"));
            }
        }
        Ok(Executable { nodes, last: None })
    }
}

impl State {
    /// Queues a graph's work in a stream.
    pub fn launch_graph(&mut self, executable: Id, stream: Id, call: &'static str) -> Result {
        let context = self.streams.get(stream)?.context;
        let mut start = self.before(stream)?;
        let nodes = {
            let executable = self.executables.get(executable)?;
            start.extend(executable.last);
            executable.nodes.clone()
        };
        let (mut queued, mut ends) = (BTreeMap::new(), BTreeSet::new());
        for (id, node) in nodes {
            let needs = match node.needs.is_empty() {
                true => start.clone(),
                false => node.needs.iter().filter_map(|need| queued.get(need).copied()).collect(),
            };
            ends.retain(|end| !needs.contains(end));
            let work = self.queue.push(context, call, node.work, needs);
            queued.insert(id, work);
            ends.insert(work);
        }
        let needs = if ends.is_empty() { start } else { ends.into_iter().collect() };
        let end = self.enqueue_after(stream, call, Work::Join, needs)?;
        self.executables.get_mut(executable)?.last = Some(end);
        Ok(())
    }
}
