//! Extents and attributes, as one writes them: `n=2,h=8,w=8,c=16,k=32,bias=none`.

use std::fmt;
use std::str::FromStr;

/// What an operation is run on: the extents of its axes, which have one letter (`n`), attributes that
/// differ from their defaults (`window=2`), and optional tensors to leave out (`bias=none`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape {
    numbers: Vec<(String, f64)>,
    without: Vec<String>,
}

impl Shape {
    /// The number called `name`, if it is there.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.numbers.iter().find(|(known, _)| known == name).map(|&(_, value)| value)
    }

    /// The extent of an axis, in a capital or a small letter. P and Q are H and W over the window.
    pub fn extent(&self, axis: &str) -> Option<usize> {
        let number = match axis.to_lowercase().as_str() {
            "p" => self.get("h")? / self.get("window")?,
            "q" => self.get("w")? / self.get("window")?,
            other => self.get(other)?,
        };
        (number >= 1.0).then_some(number as usize)
    }

    /// The product of the extents of these axes, each a letter; an axis that is not there counts as 1.
    pub fn volume(&self, axes: &str) -> f64 {
        let extent = |axis: char| self.extent(axis.encode_utf8(&mut [0; 4])).unwrap_or(1) as f64;
        axes.chars().map(extent).product()
    }

    /// The extents of all axes, in the order they were written.
    pub fn axes(&self) -> impl Iterator<Item = (&str, usize)> {
        self.iter().filter(|(name, _)| is_axis(name)).map(|(name, extent)| (name, extent as usize))
    }

    /// Names and numbers of the attributes.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, f64)> {
        self.iter().filter(|(name, _)| !is_axis(name))
    }

    /// All names and numbers, in the order they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.numbers.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// Whether the tensor `name` is to be left out.
    pub fn is_without(&self, name: &str) -> bool {
        self.without.iter().any(|left_out| left_out == name)
    }

    /// The tensors to leave out.
    pub fn without(&self) -> impl Iterator<Item = &str> {
        self.without.iter().map(String::as_str)
    }

    /// This shape, and `other` where it differs: its numbers replace those of the same name.
    pub fn updated(mut self, other: &Shape) -> Shape {
        for (name, value) in other.iter() {
            match self.numbers.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => *old = value,
                None => self.numbers.push((name.into(), value)),
            }
        }
        let more: Vec<String> =
            other.without().filter(|name| !self.is_without(name)).map(String::from).collect();
        self.without.extend(more);
        self
    }

    /// The attributes and what is left out, but no extents.
    pub fn without_axes(mut self) -> Shape {
        self.numbers.retain(|(name, _)| !is_axis(name));
        self
    }
}

fn is_axis(name: &str) -> bool {
    name.chars().count() == 1
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Shape, String> {
        let mut shape = Shape::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) =
                part.split_once('=').ok_or_else(|| format!("`{part}` is no NAME=NUMBER, such as n=2"))?;
            let (name, value) = (name.trim().to_lowercase(), value.trim());
            if shape.get(&name).is_some() || shape.is_without(&name) {
                return Err(format!("{name} is given twice"));
            }
            if value == "none" && !is_axis(&name) {
                shape.without.push(name);
                continue;
            }
            let number: f64 = value.parse().map_err(|_| format!("{name} is `{value}`, expected a number"))?;
            let most = f64::from(1 << 28);
            if is_axis(&name) && (number < 1.0 || number > most || number.fract() != 0.0) {
                return Err(format!("{name} is {value}, expected a whole number from 1 to {most}"));
            }
            shape.numbers.push((name, number));
        }
        Ok(shape)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = self.iter().map(|(name, value)| format!("{name}={value}"));
        let without = self.without().map(|name| format!("{name}=none"));
        f.write_str(&numbers.chain(without).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let shape: Shape = "N=2, h=8,bias=none,eps=0.5".parse().unwrap();
        assert_eq!(shape.to_string(), "n=2,h=8,eps=0.5,bias=none");
        assert_eq!(shape.to_string().parse::<Shape>().unwrap(), shape);
        assert_eq!((shape.get("h"), shape.extent("N"), shape.get("w")), (Some(8.0), Some(2), None));
        assert!(shape.is_without("bias") && !shape.is_without("x"));
    }

    #[test]
    fn rejects_what_is_no_extent() {
        for text in ["n", "n=", "n=x", "n=0", "n=-1", "n=1.5", "n=1e9", "n=NaN", "n=2,n=3", "n=none"] {
            assert!(text.parse::<Shape>().is_err(), "{text}");
        }
    }

    #[test]
    fn pooled_extents_follow_from_the_window() {
        let shape: Shape = "n=3,h=8,w=4,c=5,window=2".parse().unwrap();
        assert_eq!((shape.extent("P"), shape.extent("Q")), (Some(4), Some(2)));
        assert_eq!((shape.volume("nhwc"), shape.volume("npqc")), (480.0, 120.0));
    }

    #[test]
    fn another_shape_replaces_numbers_of_its_names() {
        let shape = |text: &str| text.parse::<Shape>().unwrap();
        let updated = shape("n=2,c=3,eps=1").updated(&shape("c=5,window=2,bias=none"));
        assert_eq!(updated, shape("n=2,c=5,eps=1,window=2,bias=none"));
        assert_eq!(updated.without_axes(), shape("eps=1,window=2,bias=none"));
    }
}
