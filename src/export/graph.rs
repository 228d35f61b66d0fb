//! Builds a graph layer by layer: each method adds a node named as its layer, whose output has the
//! same name, and returns it.

use super::proto::{Attribute, Graph, Node, Tensor, Value};
use crate::nn::BatchNorm;

/// A graph in the making.
#[derive(Default)]
pub struct Builder {
    graph: Graph,
}

impl Builder {
    /// Adds a weight.
    pub fn weight(&mut self, tensor: Tensor) {
        self.graph.initializer.push(tensor);
    }

    /// A 3×3 convolution, stride 1, padding 1, with a bias if there is one.
    pub fn conv3x3(&mut self, x: &str, name: &str) -> String {
        let mut weights = vec!["weight"];
        weights.extend(self.has_weight(&format!("{name}.bias")).then_some("bias"));
        let attributes = vec![
            Attribute::ints("kernel_shape", &[3, 3]),
            Attribute::ints("pads", &[1, 1, 1, 1]),
            Attribute::ints("strides", &[1, 1]),
        ];
        self.layer("Conv", name, x, &weights, attributes)
    }

    /// Batch norm by its running statistics.
    pub fn batch_norm(&mut self, x: &str, name: &str) -> String {
        let weights = ["weight", "bias", "running_mean", "running_var"];
        self.layer(
            "BatchNormalization",
            name,
            x,
            &weights,
            vec![Attribute::float("epsilon", BatchNorm::EPS as f32)],
        )
    }

    /// A fully connected layer, its weights one row an output.
    pub fn linear(&mut self, x: &str, name: &str) -> String {
        self.layer("Gemm", name, x, &["weight", "bias"], vec![Attribute::int("transB", 1)])
    }

    /// Max pooling by `window`×`window`, the stride the same.
    pub fn max_pool(&mut self, x: &str, name: &str, window: i64) -> String {
        let attributes = ["kernel_shape", "strides"].map(|name| Attribute::ints(name, &[window, window]));
        self.layer("MaxPool", name, x, &[], attributes.to_vec())
    }

    /// max(x, 0)
    pub fn relu(&mut self, x: &str, name: &str) -> String {
        self.layer("Relu", name, x, &[], Vec::new())
    }

    /// All axes but the first as one.
    pub fn flatten(&mut self, x: &str, name: &str) -> String {
        self.layer("Flatten", name, x, &[], vec![Attribute::int("axis", 1)])
    }

    /// a + b
    pub fn add(&mut self, a: &str, b: &str, name: &str) -> String {
        self.node("Add", name, vec![a.into(), b.into()], Vec::new())
    }

    /// Gives the output `from` another name.
    pub fn rename(&mut self, from: &str, to: &str) {
        for node in &mut self.graph.node {
            let names = node.input.iter_mut().chain(&mut node.output);
            names.filter(|name| *name == from).for_each(|name| *name = to.into());
        }
    }

    /// The graph, which takes `input` and gives `output`.
    pub fn finish(self, name: String, input: Value, output: Value) -> Graph {
        Graph { name, input: vec![input], output: vec![output], ..self.graph }
    }

    fn has_weight(&self, name: &str) -> bool {
        self.graph.initializer.iter().any(|tensor| tensor.name == name)
    }

    /// A node that takes `x` and the named weights of its layer.
    fn layer(
        &mut self,
        op: &str,
        name: &str,
        x: &str,
        weights: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        let weights = weights.iter().map(|weight| format!("{name}.{weight}"));
        self.node(op, name, std::iter::once(x.into()).chain(weights).collect(), attributes)
    }

    fn node(&mut self, op: &str, name: &str, input: Vec<String>, attribute: Vec<Attribute>) -> String {
        self.graph.node.push(Node {
            input,
            output: vec![name.into()],
            name: name.into(),
            op_type: op.into(),
            attribute,
        });
        name.into()
    }
}
